import type { ImageConfig } from '../runtime/images/image.ts';
import type { PlanStep } from '../src/workflow/plan.ts';

/** Where builds find their source. */
export const workspacePath = '/workspace';

const defaultPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** Names of secrets to their values; of an untrusted build there are none. */
export type SecretValues = ReadonlyMap<string, string>;

/**
 * The environment of a step, later ones win: the image's, the workflow's, its secrets, and the variables that tell of
 * the build, which a workflow cannot overwrite (as in Woodpecker). Nothing of the host's.
 */
export function stepEnvironment(
  image: ImageConfig,
  step: PlanStep,
  secrets: SecretValues,
  variables: Readonly<Record<string, string>>,
): Record<string, string> {
  const fromImage = image.env.map((entry) => {
    const at = entry.indexOf('=');
    return [entry.slice(0, at), entry.slice(at + 1)] as const;
  });
  const given = step.secrets.flatMap((each) =>
    each.kind === 'variable' ? [[each.variable, valueOf(each.secret, secrets)] as const] : [],
  );
  return {
    PATH: defaultPath,
    HOME: '/root',
    ...Object.fromEntries(fromImage.filter(([key]) => key !== '')),
    ...step.environment,
    ...Object.fromEntries(given),
    ...variables,
  };
}

/** Contents of the step's files in /run/secrets, by name. */
export function secretFiles(step: PlanStep, secrets: SecretValues): Record<string, string> {
  const files = step.secrets.flatMap((each) =>
    each.kind === 'file' ? [[each.file, valueOf(each.secret, secrets)] as const] : [],
  );
  return Object.fromEntries(files);
}

function valueOf(name: string, secrets: SecretValues): string {
  const value = secrets.get(name);
  if (value === undefined) throw new TypeError(`no value was looked up for the secret ${name}`);
  return value;
}
