import { createHash } from 'node:crypto';
import type { BuildSpec } from '../spec.ts';

/** The key stands for a build that something else was asked of; nothing was made. */
export class IdempotencyError extends Error {
  override readonly name = 'IdempotencyError';

  /** @param first id of the build that the key stands for */
  constructor(key: string, first: string) {
    super(
      `the Idempotency-Key '${key}' was used for another request, which made the build ${first}; ` +
        'use a new key for each build, and the same one only to send a request again',
    );
  }
}

/** What a key is kept under: each token has keys of its own. */
export function idempotencyKeyOf(token: string, key: string): string {
  return hash(`${token}\n${key}`);
}

/** The same for two requests that ask for the same, whenever and by whatever trigger they came. */
export function fingerprintOf({ id: _id, trigger: _trigger, ...asked }: BuildSpec): string {
  return hash(JSON.stringify(asked, sorted));
}

/** A replacer that leaves the order in which a request names things out of the JSON. */
function sorted(_name: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url');
}
