import { parseOwn } from './records/json.ts';
import { allKinds, kindOf } from './secrets/place.ts';
import type { Settings } from './settings.ts';
import type { Trigger } from './trigger.ts';
import { contextOf, type SealedEntry } from './vault/entry.ts';
import type { Vault } from './vault.ts';

/** Whose builds may have a secret: one repository's, or those of all repositories whose names begin with `NAME/`. */
export type SecretScope =
  | { readonly kind: 'repository'; readonly name: string }
  | { readonly kind: 'organization'; readonly name: string };

/** A secret without its value. */
export interface Secret {
  /** As `from_secret` says it: letters, digits, `_` and `-`. */
  readonly name: string;
  readonly scope: SecretScope;
  /** Triggers whose builds may have it; empty: all trusted ones. */
  readonly triggers: readonly Trigger['kind'][];
  /** ISO 8601. */
  readonly updatedAt: string;
}

/** Bytes; shorter ones cannot be masked in logs without hiding what is none. */
export const shortestSecret = 8;

/** Bytes. */
export const longestSecret = 64 * 1024;

export interface Secrets {
  /** Makes or replaces. Throws SecretError (too short, too long, no text, a name that is none) and VaultError. */
  set(secret: Omit<Secret, 'updatedAt'>, value: string): Promise<Secret>;
  list(scope?: SecretScope): Promise<Secret[]>;
  remove(scope: SecretScope, name: string): Promise<boolean>;
  /**
   * The values that a trusted build of a repository may have, by name; the repository's own win over its
   * organization's. Never to be called for an untrusted build. Throws VaultError.
   */
  valuesFor(repository: string, trigger: Trigger['kind']): Promise<ReadonlyMap<string, string>>;
}

/** A secret that cannot be kept; the message says why. */
export class SecretError extends Error {
  override readonly name = 'SecretError';
}

interface Entry extends SealedEntry {
  readonly secret: Secret;
}

export function openSecrets(settings: Settings, vault: Vault): Secrets {
  const entries = async (kind: string): Promise<Entry[]> =>
    [...(await settings.all(kind)).values()].map((text) => parseOwn<Entry>(text));

  return {
    set: async ({ name, scope, triggers }, value) => {
      checkSecret(name, value);
      const kind = kindOf(scope);
      const secret: Secret = { name, scope, triggers, updatedAt: new Date().toISOString() };
      const entry: Entry = { secret, sealed: vault.seal(value, contextOf(kind, name)) };
      await settings.put(kind, name, JSON.stringify(entry));
      return secret;
    },
    list: async (scope) => {
      const kinds = scope ? [kindOf(scope)] : await settings.kinds(allKinds);
      return (await Promise.all(kinds.map(entries))).flat().map(({ secret }) => secret);
    },
    remove: (scope, name) => settings.remove(kindOf(scope), name),
    valuesFor: async (repository, trigger) => {
      const values = new Map<string, string>();
      for (const scope of scopesOf(repository)) {
        const kind = kindOf(scope);
        for (const { secret, sealed } of await entries(kind)) {
          const { name, triggers } = secret;
          // A nearer one with its own triggers hides a farther one also where it is not given.
          values.delete(name);
          if (triggers.length > 0 && !triggers.includes(trigger)) continue;
          values.set(name, vault.open(sealed, contextOf(kind, name)));
        }
      }
      return values;
    },
  };
}

/** `a/b/c`: the organizations `a` and `a/b`, then the repository; what comes later is nearer. */
function scopesOf(repository: string): SecretScope[] {
  const parts = repository.split('/');
  const organizations = parts
    .slice(1)
    .map((_, i): SecretScope => ({ kind: 'organization', name: parts.slice(0, i + 1).join('/') }));
  return [...organizations, { kind: 'repository', name: repository }];
}

/** Throws SecretError, as `set` does. */
export function checkSecret(name: string, value: string): void {
  if (!secretName.test(name)) {
    throw new SecretError(
      `'${name.slice(0, 100)}' cannot name a secret; use up to 100 letters, digits, '_' and '-', and not '-' first`,
    );
  }
  const bytes = Buffer.byteLength(value);
  if (bytes < shortestSecret) {
    throw new SecretError(
      `a secret needs at least ${shortestSecret} bytes, and this one has ${bytes}: hiding it in logs would hide half of the log`,
    );
  }
  if (value.includes('\0')) throw new SecretError('a secret is text without NUL; encode it, as by base64');
  if (bytes > longestSecret) throw new SecretError(`a secret has at most ${longestSecret / 1024} KiB`);
}

const secretName = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,99}$/;
