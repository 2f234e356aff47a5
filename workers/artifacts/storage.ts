import { createHash, type Hash } from 'node:crypto';
import { once } from 'node:events';
import { PassThrough } from 'node:stream';
import { type ArtifactStore, ArtifactStoreError } from '../../src/artifacts.ts';
import type { Storage } from '../../src/storage/storage.ts';

interface Sending {
  readonly path: string;
  readonly hash: Hash;
  readonly body: PassThrough;
  readonly stored: Promise<unknown>;
  size: number;
}

/** Puts artifacts into storage below a key prefix, each whole or not at all. Throws ArtifactStoreError. */
export function storageArtifacts(storage: Storage, prefix: string): ArtifactStore {
  let current: Sending | undefined;

  const sending = (): Sending => {
    if (!current) throw new TypeError('no artifact was begun');
    return current;
  };
  const explain = (path: string, cause: unknown): never => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ArtifactStoreError(`cannot keep the artifact ${path}: ${reason}`, { cause });
  };

  return {
    begin: ({ path }) => {
      const body = new PassThrough();
      const stored = storage.put(`${prefix}${path}`, body);
      // A store that fails ends the body, so that nobody waits for it to drain; end() tells why.
      stored.catch((error: unknown) => body.destroy(error instanceof Error ? error : undefined));
      body.on('error', () => {});
      current = { path, hash: createHash('sha256'), body, stored, size: 0 };
      return Promise.resolve();
    },
    data: async (chunk) => {
      const { path, hash, body, stored } = sending();
      sending().size += chunk.length;
      hash.update(chunk);
      if (body.destroyed) await stored.catch((error: unknown) => explain(path, error));
      // The chunk is a view of a buffer that is not written to again.
      if (!body.write(chunk))
        await Promise.race([once(body, 'drain'), stored]).catch((e: unknown) => explain(path, e));
    },
    end: async () => {
      const { path, hash, body, stored, size } = sending();
      body.end();
      await stored.catch((error: unknown) => explain(path, error));
      current = undefined;
      return { path, size, sha256: hash.digest('hex') };
    },
    discard: async () => {
      current?.body.destroy(new Error('broken off'));
      await current?.stored.catch(() => {});
      current = undefined;
    },
  };
}
