import { createHash } from 'node:crypto';
import { GlobError } from '../../src/workflow/glob.ts';
import { type SourceLayers, sourceFiles } from './source-files.ts';

/** What a cache is found by. */
export type CacheKey =
  /** Of the contents of its key files: 64 hexadecimal digits. What is saved under it stays. */
  | { readonly kind: 'files'; readonly digest: string }
  /** It has no key files: the newest is used, and each build that changed it saves it. */
  | { readonly kind: 'none' };

/** A lock file is never so long. */
const maxBytes = 64 * 1024 ** 2;

/** The key of a cache cannot be told; the message says why. */
class CacheKeyError extends Error {
  override readonly name = 'CacheKeyError';
}

/** Reads the key files of a source. Throws CacheKeyError, and what reading throws. */
export async function cacheKey(source: SourceLayers, globs: readonly string[]): Promise<CacheKey> {
  const hash = createHash('sha256');
  let bytes = 0;
  const files = await sourceFiles(source, globs).catch((error: unknown) => {
    if (!(error instanceof GlobError)) throw error;
    throw new CacheKeyError(error.message, { cause: error });
  });
  for (const { path, read } of files) {
    const one = createHash('sha256');
    for await (const chunk of read()) {
      bytes += chunk.length;
      if (bytes > maxBytes) throw new CacheKeyError(`its key files have more than ${maxBytes} bytes`);
      one.update(chunk);
    }
    hash.update(`${JSON.stringify(path)} ${one.digest('hex')}\n`);
  }
  return files.length === 0 ? { kind: 'none' } : { kind: 'files', digest: hash.digest('hex') };
}
