import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ArtifactRecord } from './build.ts';

/** Where a build's artifacts go, one file after another. */
export interface ArtifactStore {
  begin(file: { readonly path: string; readonly mode: number }): Promise<void>;
  data(chunk: Buffer): Promise<void>;
  /** The file is complete. */
  end(): Promise<ArtifactRecord>;
  /** The file begun last stays away: something broke off. */
  discard(): Promise<void>;
}

/**
 * Writes artifacts below a directory, under the paths they had in the workspace; without a directory they are only
 * measured. A file appears whole or not at all.
 */
export function artifactStore(directory: string | undefined): ArtifactStore {
  let current: { path: string; target: string; size: number; hash: Hash; handle?: FileHandle } | undefined;

  return {
    begin: async ({ path, mode }) => {
      const target = directory === undefined ? '' : join(directory, path);
      current = { path, target, size: 0, hash: createHash('sha256') };
      if (directory === undefined) return;
      await mkdir(dirname(target), { recursive: true });
      current.handle = await open(partial(target), 'w', (mode & 0o755) | 0o600);
    },
    data: async (chunk) => {
      if (!current) throw new TypeError('data before begin');
      current.size += chunk.length;
      current.hash.update(chunk);
      await current.handle?.writeFile(chunk);
    },
    end: async () => {
      if (!current) throw new TypeError('end before begin');
      const { path, target, size, hash, handle } = current;
      await handle?.close();
      if (handle) await rename(partial(target), target);
      current = undefined;
      return { path, size, sha256: hash.digest('hex') };
    },
    discard: async () => {
      await current?.handle?.close();
      if (current?.handle) await rm(partial(current.target), { force: true });
      current = undefined;
    },
  };
}

const partial = (target: string) => `${target}.partial`;
