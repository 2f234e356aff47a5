import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { type Key, readKeyFile } from './vault/key-file.ts';
import { VaultError } from './vault/error.ts';

/**
 * Keeps small secrets (webhook secrets, credentials, users' secrets) as text that may be stored anywhere: AES-256-GCM
 * with a key from a file, which is never in Redis. `context` is bound to the text (additional data): what was sealed for
 * one repository and name does not open for another.
 */
export interface Vault {
  /** Throws VaultError when there is no key. */
  seal(plain: string, context: string): string;
  /** Throws VaultError when the text was changed, or sealed for another context or with a key that is not here. */
  open(sealed: string, context: string): string;
  /** Whether it was sealed with the key that seals now. Throws VaultError when there is no key. */
  isCurrent(sealed: string): boolean;
}

/** NIST SP 800-38D, 8.2.2: random nonces of 96 bits, for at most 2^32 texts a key. */
const nonceBytes = 12;
const tagBytes = 16;

/**
 * The file is read when a key is first needed, and again when a text was sealed with a key that was not in it. Its
 * first key seals, each of them opens. A sealed text is `v1.<key id>.<nonce, ciphertext and tag as base64url>`.
 */
export function openVault(keyFile: string): Vault {
  let keys: readonly [Key, ...Key[]] | undefined;
  const current = () => (keys ??= readKeyFile(keyFile))[0];
  const keyOf = (id: string): Key => {
    const find = () => keys?.find((key) => key.id === id);
    const found = find();
    if (found) return found;
    keys = readKeyFile(keyFile);
    const added = find();
    if (added) return added;
    throw new VaultError(
      `a secret was sealed with the key ${id}, which is not in ${keyFile}; put that key back, from a backup or from ` +
        'the machine whose API made it',
    );
  };

  return {
    seal: (plain, context) => {
      const { id, bytes } = current();
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv('aes-256-gcm', bytes, nonce).setAAD(Buffer.from(context));
      const text = Buffer.concat([nonce, cipher.update(plain, 'utf8'), cipher.final(), cipher.getAuthTag()]);
      return `v1.${id}.${text.toString('base64url')}`;
    },
    open: (sealed, context) => {
      const [, id = '', text = ''] = form.exec(sealed) ?? [];
      const bytes = Buffer.from(text, 'base64url');
      // Bits that base64url ignores would be a change that nobody notices.
      if (bytes.length < nonceBytes + tagBytes || bytes.toString('base64url') !== text)
        throw damaged(context);
      const key = keyOf(id);
      const decipher = createDecipheriv('aes-256-gcm', key.bytes, bytes.subarray(0, nonceBytes), {
        authTagLength: tagBytes,
      });
      decipher.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(-tagBytes));
      try {
        const plain = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
        return Buffer.concat([plain, decipher.final()]).toString('utf8');
      } catch (error) {
        throw damaged(context, error);
      }
    },
    isCurrent: (sealed) => form.exec(sealed)?.[1] === current().id,
  };
}

const form = /^v1\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

function damaged(context: string, cause?: unknown): VaultError {
  return new VaultError(
    `what is kept as '${context}' was changed, or was sealed for something else; set it again`,
    {
      cause,
    },
  );
}
