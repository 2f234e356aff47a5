import { inspect } from '../runtime/host.ts';
import type { Host } from '../runtime/host/requirement.ts';

/**
 * What a worker on this machine must say at its start, as any worker gets builds of strangers unless labels keep them away;
 * undefined: the machine is fit for them. The checks are those of `cofferdam doctor --untrusted`.
 */
export async function exposureWarning(host: Host): Promise<string | undefined> {
  const missing = (await inspect(host, ['untrusted'])).filter(({ status }) => status === 'missing');
  if (missing.length === 0) return undefined;
  const which = missing.map(({ id, detail }) => `${id} ${detail}`).join('; ');
  return (
    `this machine is not fit for builds of strangers (${which}): cofferdam doctor --untrusted says why, ` +
    'cofferdam doctor --fix mends what can be; until then keep them away (docs/hosts.md)'
  );
}
