/** The key is missing or wrong, or a sealed text is damaged; the message says which and what to do. */
export class VaultError extends Error {
  override readonly name = 'VaultError';
}
