/**
 * Keeps small secrets (webhook secrets, credentials, users' secrets) as text that may be stored anywhere: AES-256-GCM
 * with a key from a file, which is never in Redis. `context` is bound to the text (additional data): what was sealed for
 * one repository and name does not open for another.
 */
export interface Vault {
  seal(plain: string, context: string): string;
  /** Throws VaultError when the text was changed, or sealed for another context or with a key that is not here. */
  open(sealed: string, context: string): string;
}

/** The key is missing or wrong, or a sealed text is damaged; the message says which and what to do. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}
