import { inspect } from '../runtime/host.ts';
import type { Host } from '../runtime/host/requirement.ts';
import { hasLabels } from './claim/labels.ts';

/**
 * What a worker on this machine must say at its start; undefined: its labels keep strangers' builds away, or the machine is fit
 * for them by the checks of `cofferdam doctor --untrusted`.
 */
export async function exposureWarning(
  host: Host,
  labels: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  if (!hasLabels(labels, { trust: 'untrusted' })) return undefined;
  const missing = (await inspect(host, ['untrusted'])).filter(({ status }) => status === 'missing');
  if (missing.length === 0) return undefined;
  const which = missing.map(({ id, detail }) => `${id} ${detail}`).join('; ');
  return (
    `this machine is not fit for builds of strangers (${which}): cofferdam doctor --untrusted says why, ` +
    'cofferdam doctor --fix mends what can be; until then --label trust=trusted keeps them away'
  );
}
