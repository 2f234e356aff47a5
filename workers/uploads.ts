import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { CommandError } from '../runtime/command.ts';
import { ImageError } from '../runtime/images/image.ts';
import { type Contain, unpackLayer } from '../runtime/images/layer.ts';
import { layerLimits } from '../runtime/images/layer-limits.ts';
import { tryLock } from '../runtime/images/lock.ts';
import { removeTrees } from '../runtime/images/workplace.ts';
import { StorageMissing } from '../src/storage/missing.ts';
import type { Storage } from '../src/storage/storage.ts';
import { uploadKey } from '../src/uploads.ts';
import { SourceError } from './source.ts';

/** Uploaded working trees, unpacked once on this machine and shared, read-only, by all builds of the same upload. */
export interface UploadCache {
  /**
   * The tree of an upload; `open` gives the tar, maybe compressed, when it is not here yet. The caller's sandbox
   * holds `lock` shared. Throws SourceError when the tar is damaged, hostile or too large.
   */
  use(digest: string, open: () => Promise<Readable>): Promise<UploadedTree>;
  /** Removes what was not used for the longest time until no more than the cap is left. */
  trim(): Promise<void>;
}

export interface UploadedTree {
  readonly directory: string;
  readonly lock: string;
}

export interface UploadCacheOptions {
  readonly dataDir: string;
  readonly contain: Contain;
  /** Unpacked bytes that are kept at most, beyond what running builds use. */
  readonly capBytes: number;
}

/** A tree handed out a moment ago may not be locked by its sandbox yet. */
const untouchableMs = 10 * 60_000;

export function uploadCache({ dataDir, contain, capBytes }: UploadCacheOptions): UploadCache {
  const root = join(dataDir, 'sources');
  const place = (digest: string) => ({
    directory: join(root, digest, 'tree'),
    lock: join(root, digest, 'lock'),
  });
  const making = new Map<string, Promise<void>>();

  const unpack = async (digest: string, open: () => Promise<Readable>): Promise<void> => {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    const work = await mkdtemp(join(root, '.unpack-'));
    try {
      const tree = join(work, 'tree');
      await mkdir(tree);
      const source = { blob: await open(), digest: `sha256:${digest}`, diffId: undefined };
      const { bytes } = await unpackLayer(source, tree, contain, layerLimits, 'tree');
      writeFileSync(join(work, 'lock'), '');
      writeFileSync(join(work, 'bytes'), String(bytes));
      await rename(work, join(root, digest));
    } catch (error) {
      await removeTrees([work]);
      // Another process was faster: the same digest is the same tree.
      if (isPresent(place(digest).directory)) return;
      if (error instanceof ImageError || error instanceof CommandError) {
        throw new SourceError(`the uploaded source cannot be unpacked: ${error.message}`, { cause: error });
      }
      throw error;
    }
  };

  return {
    use: async (digest, open) => {
      const tree = place(digest);
      if (!isPresent(tree.directory)) {
        const work = making.get(digest) ?? unpack(digest, open).finally(() => making.delete(digest));
        making.set(digest, work);
        await work;
      }
      const now = new Date();
      utimesSync(tree.lock, now, now);
      return tree;
    },
    trim: async () => {
      await removeTrees(await abandoned(root));
      const trees = await listTrees(root);
      let total = trees.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const { directory, lock, bytes, usedAt } of trees.sort((a, b) => a.usedAt - b.usedAt)) {
        if (total <= capBytes || Date.now() - usedAt < untouchableMs) break;
        const held = await tryLock(lock, 'exclusive');
        if (!held) continue;
        await removeTrees([directory]);
        await held.release();
        total -= bytes;
      }
    },
  };
}

/** The tar of an upload in storage. Throws SourceError when it is not there any more, and what Storage.get throws. */
export async function openUpload(storage: Storage, digest: string): Promise<Readable> {
  try {
    return (await storage.get(uploadKey(digest))).body;
  } catch (error) {
    if (!(error instanceof StorageMissing)) throw error;
    throw new SourceError(
      'the uploaded source is not kept any more: the service removes uploads that were not used for long ' +
        '(COFFERDAM_KEEP_UPLOADS, by default 30d); submit the directory again',
      { cause: error },
    );
  }
}

function isPresent(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false }) !== undefined;
}

async function listTrees(root: string) {
  const names = isPresent(root) ? await readdir(root) : [];
  return Promise.all(
    names
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map(async (name) => {
        const directory = join(root, name);
        const lock = join(directory, 'lock');
        return {
          directory,
          lock,
          bytes: Number(await readFile(join(directory, 'bytes'), 'utf8')),
          usedAt: (await stat(lock)).mtimeMs,
        };
      }),
  );
}

/** What a process left that died while it unpacked. */
async function abandoned(root: string): Promise<string[]> {
  const names = isPresent(root) ? await readdir(root) : [];
  const works = names.filter((name) => name.startsWith('.unpack-')).map((name) => join(root, name));
  const ages = await Promise.all(works.map(async (work) => Date.now() - (await stat(work)).mtimeMs));
  return works.filter((_, i) => (ages[i] ?? 0) > 24 * 3_600_000);
}
