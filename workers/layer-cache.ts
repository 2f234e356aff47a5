import { mkdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { tryLock } from '../runtime/images/lock.ts';
import { removeTrees } from '../runtime/images/workplace.ts';

/** One thing that builds read and nobody writes any more: a directory, and the lock that sandboxes hold shared. */
export interface CachedLayer {
  /** The layer itself is in `tree` below it; what else belongs to it is beside that. */
  readonly directory: string;
  readonly tree: string;
  readonly lock: string;
}

/** Layers of workspaces, made once on this machine, shared by all builds, and removed when they were not used for long. */
export interface LayerCache {
  /** The layer of a key (64 hexadecimal digits), which counts as used now; undefined: it is not here. Starts nothing. */
  find(key: string): CachedLayer | undefined;
  /**
   * Makes a layer: `fill` gets an empty directory, makes `tree` in it, and tells how many bytes it takes. Appears whole
   * or not at all; where another process was faster, its layer is the one. Hard links to files that others may remove
   * are not of these bytes: the file `shared`, where there is one, names the directory that they are in.
   */
  make(key: string, fill: (directory: string) => Promise<number>): Promise<CachedLayer>;
  /** Takes a layer away that must not be used any more; builds that have it keep it. */
  discard(key: string): Promise<void>;
  /** Removes what was not used for the longest time until no more than the cap is left. */
  trim(): Promise<void>;
}

export interface LayerCacheOptions {
  readonly dataDir: string;
  /** Bytes that are kept at most, beyond what running builds use. */
  readonly capBytes: number;
}

/** A layer handed out a moment ago may not be locked by its sandbox yet. */
const untouchableMs = 10 * 60_000;
const abandonedMs = 24 * 3_600_000;

export function layerCache({ dataDir, capBytes }: LayerCacheOptions): LayerCache {
  const root = join(dataDir, 'sources');
  const place = (key: string): CachedLayer => {
    const directory = join(root, key);
    return { directory, tree: join(directory, 'tree'), lock: join(directory, 'lock') };
  };
  const find = (key: string): CachedLayer | undefined => {
    const layer = place(key);
    if (!isPresent(layer.directory)) return undefined;
    const now = new Date();
    try {
      utimesSync(layer.lock, now, now);
    } catch (error) {
      // Another process removed it just now.
      if (!isPresent(layer.directory)) return undefined;
      throw error;
    }
    return layer;
  };
  const fresh = async (prefix: string) => {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    return await mkdtemp(join(root, prefix));
  };
  /** Aside in one step: what is half removed must not look like a layer. */
  const remove = async (directory: string) => {
    const aside = await fresh('.gone-');
    await rename(directory, join(aside, 'layer')).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
    await removeTrees([aside]);
  };

  return {
    find,
    make: async (key, fill) => {
      const work = await fresh('.making-');
      try {
        const bytes = await fill(work);
        writeFileSync(join(work, 'lock'), '');
        writeFileSync(join(work, 'bytes'), String(bytes));
        await rename(work, place(key).directory);
      } catch (error) {
        await removeTrees([work]);
        const other = find(key);
        if (other) return other;
        throw error;
      }
      return place(key);
    },
    discard: async (key) => {
      const { directory } = place(key);
      if (isPresent(directory)) await remove(directory);
    },
    trim: async () => {
      await removeTrees(await abandoned(root));
      const layers = await list(root);
      let total = layers.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const { directory, bytes, usedAt } of layers.sort((a, b) => a.usedAt - b.usedAt)) {
        if (total <= capBytes || Date.now() - usedAt < untouchableMs) break;
        const held = await tryLock(join(directory, 'lock'), 'exclusive');
        if (!held) continue;
        await remove(directory);
        await held.release();
        total -= bytes;
      }
    },
  };
}

function isPresent(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false }) !== undefined;
}

async function list(root: string) {
  const names = isPresent(root) ? await readdir(root) : [];
  return Promise.all(
    names
      .filter((name) => /^[0-9a-f]{64}$/.test(name))
      .map(async (name) => {
        const directory = join(root, name);
        const own = Number(await readFile(join(directory, 'bytes'), 'utf8'));
        return {
          directory,
          bytes: own + (await sharedBytes(directory)),
          usedAt: (await stat(join(directory, 'lock'))).mtimeMs,
        };
      }),
  );
}

/** Whoever has a link to a file has a part of it; the last one has all. */
async function sharedBytes(directory: string): Promise<number> {
  const below = await readFile(join(directory, 'shared')).catch(() => undefined);
  if (!below) return 0;
  const place = Buffer.concat([Buffer.from(`${directory}/`), below, Buffer.from('/')]);
  const names = await readdir(place, { encoding: 'buffer' });
  const files = await Promise.all(names.map((name) => stat(Buffer.concat([place, name]))));
  return files.reduce((sum, { size, nlink }) => sum + size / nlink, 0);
}

/** What a process left that died while it made or removed a layer. */
async function abandoned(root: string): Promise<string[]> {
  const names = isPresent(root) ? await readdir(root) : [];
  const works = names.filter((name) => /^\.(making|gone)-/.test(name)).map((name) => join(root, name));
  const ages = await Promise.all(works.map(async (work) => Date.now() - (await stat(work)).mtimeMs));
  return works.filter((_, i) => (ages[i] ?? 0) > abandonedMs);
}
