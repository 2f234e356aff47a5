import { UsageError } from '../../src/usage.ts';
import type { BuildPlan } from '../../src/workflow/plan.ts';
import type { SecretValues } from '../environment.ts';

/** Bytes of all secrets of a build: what finds their forms in the log takes some hundred times as much memory. */
const mostSecretBytes = 128 * 1024;

/**
 * Of the values that a build may have, those that its plan names. Throws what `missing` makes when one is not there,
 * and UsageError when they are too much to be masked.
 */
export function namedSecrets(
  { workflows }: BuildPlan,
  values: SecretValues,
  missing: (step: string, secret: string) => UsageError,
): SecretValues {
  const named = new Map<string, string>();
  for (const step of workflows.flatMap(({ steps, services }) => [...steps, ...services])) {
    for (const { secret } of step.secrets) {
      const value = values.get(secret);
      if (value === undefined) throw missing(step.name, secret);
      named.set(secret, value);
    }
  }
  const bytes = [...named.values()].reduce((sum, value) => sum + Buffer.byteLength(value), 0);
  if (bytes > mostSecretBytes) {
    throw new UsageError(
      `the secrets of this build have ${bytes} bytes together, and no more than ${mostSecretBytes / 1024} KiB ` +
        'can be kept out of a log: put large files elsewhere, encrypted with a key that is a secret',
    );
  }
  return named;
}
