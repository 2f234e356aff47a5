import type { ImageConfig } from '../runtime/images/image.ts';
import type { PlanStep } from '../src/workflow/plan.ts';
import { withSecret } from '../src/workflow/settings.ts';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Names of secrets to their values; of an untrusted build there are none. */
export type SecretValues = ReadonlyMap<string, string>;

/** What a step or a service has of its own. */
export type Equipment = Pick<PlanStep, 'environment' | 'secrets'>;

/**
 * The environment of a step or service, later ones win: the image's, the workflow's, its secrets, and the variables that
 * tell of the build, which a workflow cannot overwrite (as in Woodpecker). Nothing of the host's.
 */
export function containerEnvironment(
  image: ImageConfig,
  { environment, secrets: named }: Equipment,
  secrets: SecretValues,
  variables: Readonly<Record<string, string>>,
): Record<string, string> {
  const fromImage = image.env.map((entry) => {
    const at = entry.indexOf('=');
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  const given = new Map<string, string>();
  for (const each of named) {
    if (each.kind === 'file') continue;
    const value = valueOf(each.secret, secrets);
    const json = each.kind === 'json' ? (given.get(each.variable) ?? each.template) : undefined;
    given.set(each.variable, json === undefined ? value : withSecret(json, each.secret, value));
  }
  return {
    PATH: defaultPath,
    HOME: '/root',
    ...Object.fromEntries(fromImage.filter(([key]) => key !== '')),
    ...environment,
    ...Object.fromEntries(given),
    ...variables,
  };
}

/** Contents of its files in /run/secrets, by name. */
export function secretFiles({ secrets: named }: Equipment, secrets: SecretValues): Record<string, string> {
  const files = named.flatMap((each) =>
    each.kind === 'file' ? [[each.file, valueOf(each.secret, secrets)] as const] : [],
  );
  return Object.fromEntries(files);
}

function valueOf(name: string, secrets: SecretValues): string {
  const value = secrets.get(name);
  if (value === undefined) throw new TypeError(`no value was looked up for the secret ${name}`);
  return value;
}
