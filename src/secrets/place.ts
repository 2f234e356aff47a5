import type { SecretScope } from '../secrets.ts';
import type { Settings } from '../settings.ts';

/** The kinds of settings that secrets are begin with it. */
export const allKinds = 'secrets/';

/** The kind of settings that the secrets of a scope are. */
export function kindOf({ kind, name }: SecretScope): string {
  return `${allKinds}${kind}/${encodeURIComponent(name.toLowerCase())}`;
}

export async function removeSecrets(settings: Settings, scope: SecretScope): Promise<void> {
  const kind = kindOf(scope);
  for (const name of (await settings.all(kind)).keys()) await settings.remove(kind, name);
}
