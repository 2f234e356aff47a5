import { randomBytes } from 'node:crypto';
import type { RepositoryKeys } from '../repositories.ts';

/** 256 random bits. */
export function newWebhookSecret(): string {
  return randomBytes(32).toString('base64url');
}

/**
 * Changes the secret of a webhook without a gap: `begin` accepts the new one and the newest old one, `finish` only the
 * newest; `replace` does both at once, for one that became known.
 */
export function rotated(
  keys: RepositoryKeys,
  change: { readonly step: 'begin' | 'replace'; readonly secret: string } | { readonly step: 'finish' },
): RepositoryKeys {
  const old = keys.webhookSecrets.slice(0, 1);
  if (change.step === 'finish') return { ...keys, webhookSecrets: old };
  return { ...keys, webhookSecrets: change.step === 'begin' ? [change.secret, ...old] : [change.secret] };
}
