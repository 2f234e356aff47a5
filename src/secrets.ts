import type { Trigger } from './trigger.ts';

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

/** Shorter ones cannot be masked in logs without hiding what is none. */
export const shortestSecret = 8;

export interface Secrets {
  /** Makes or replaces. Throws SecretError: too short, longer than 64 KiB, or a name that is none. */
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
