import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ulid } from 'ulid';
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

/** An artifact cannot be kept where it belongs; the message names the place. */
export class ArtifactStoreError extends Error {
  override readonly name = 'ArtifactStoreError';
}

interface Writing {
  readonly path: string;
  readonly hash: Hash;
  size: number;
  /** Undefined: only measured. */
  readonly file:
    | { readonly handle: FileHandle; readonly partial: string; readonly target: string }
    | undefined;
}

/**
 * Writes artifacts below a directory, under the paths they had in the workspace; without a directory they are only
 * measured. A file appears whole or not at all, and never outside the directory: symlinks in it are not followed, for
 * it may be a checkout of the very source that names the artifacts. Throws ArtifactStoreError.
 */
export function artifactStore(directory: string | undefined): ArtifactStore {
  let current: Writing | undefined;

  return {
    begin: async ({ path, mode }) => {
      const file =
        directory === undefined ? undefined : await create(directory, path, mode).catch(failed(path));
      current = { path, hash: createHash('sha256'), size: 0, file };
    },
    data: async (chunk) => {
      if (!current) throw new TypeError('data before begin');
      current.size += chunk.length;
      current.hash.update(chunk);
      await current.file?.handle.writeFile(chunk).catch(failed(current.path));
    },
    end: async () => {
      if (!current) throw new TypeError('end before begin');
      const { path, size, hash, file } = current;
      if (file) {
        await file.handle.close().catch(failed(path));
        await rename(file.partial, file.target).catch(failed(path));
      }
      current = undefined;
      return { path, size, sha256: hash.digest('hex') };
    },
    discard: async () => {
      const file = current?.file;
      current = undefined;
      await file?.handle.close();
      if (file) await rm(file.partial, { force: true });
    },
  };
}

async function create(directory: string, path: string, mode: number): Promise<NonNullable<Writing['file']>> {
  const target = join(directory, path);
  await mkdir(directory, { recursive: true });
  const parents = path.split('/').slice(0, -1);
  for (const [i] of parents.entries()) await makeDirectory(join(directory, ...parents.slice(0, i + 1)));
  // Short and new: a file of the same name may have 255 bytes, and may be a symlink.
  const partial = join(dirname(target), `.${ulid()}.partial`);
  return { handle: await open(partial, 'wx', (mode & 0o755) | 0o600), partial, target };
}

async function makeDirectory(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found?.isSymbolicLink())
    throw new Error(`${path} is a symlink; remove it, or choose another directory`);
  if (!found?.isDirectory()) await mkdir(path);
}

const failed = (path: string) => (error: unknown) => {
  const reason = error instanceof Error ? error.message : String(error);
  throw new ArtifactStoreError(`cannot keep the artifact ${path}: ${reason}`, { cause: error });
};
