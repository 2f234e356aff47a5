import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from 'node:fs';
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

/** Layers that builds share, made once on this machine, and removed when they were not used for long. */
export interface LayerCache {
  /** The layer of a key (64 hexadecimal digits), which counts as used now; undefined: it is not here. Starts nothing. */
  find(key: string): CachedLayer | undefined;
  /**
   * Makes a layer: `fill` gets an empty directory, makes `tree` in it, and tells how many bytes it takes. Appears whole
   * or not at all; where another process was faster, its layer is the one. Hard links to files that others may remove
   * are not of these bytes: the file `shared`, where there is one, names the directory that they are in.
   */
  make(key: string, fill: (directory: string) => Promise<number>): Promise<CachedLayer>;
  /** Takes a layer away that must not be used any more. */
  discard(key: string): Promise<void>;
  /** The same, but builds that have it keep it: from now on it has another key, and trim() removes it first. */
  forget(key: string): Promise<void>;
  /** Keys of all there are, also of those that were forgotten. */
  keys(): string[];
  /** Where the layer of a key is, or would be. */
  place(key: string): CachedLayer;
  /** All there are; in no order. */
  list(): Promise<ListedLayer[]>;
  /** Removes a layer unless a build has it; whether it is gone. */
  remove(key: string): Promise<boolean>;
  /** Removes what was not used for the longest time until no more than the cap is left. */
  trim(): Promise<void>;
}

export interface ListedLayer extends CachedLayer {
  readonly key: string;
  readonly bytes: number;
  /** Milliseconds since 1970. */
  readonly usedAt: number;
}

export interface LayerCacheOptions {
  readonly dataDir: string;
  /** Of the directory below it; default `sources`. */
  readonly name?: string;
  /** Bytes that are kept at most, beyond what running builds use. */
  readonly capBytes: number;
}

/** A layer handed out a moment ago may not be locked by its sandbox yet. */
const untouchableMs = 10 * 60_000;
/** When a forgotten layer was used, in milliseconds. */
const forgottenAt = 1;
const abandonedMs = 24 * 3_600_000;

/** The layers in a directory, which all processes of this machine share. */
export function layerCache({ dataDir, capBytes, name = 'sources' }: LayerCacheOptions): LayerCache {
  const root = join(dataDir, name);
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
  const take = async (directory: string) => {
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
      if (isPresent(directory)) await take(directory);
    },
    forget: async (key) => {
      const nameless = place(randomBytes(32).toString('hex'));
      try {
        await rename(place(key).directory, nameless.directory);
      } catch (error) {
        // Another process was faster.
        if (isPresent(place(key).directory)) throw error;
        return;
      }
      utimesSync(nameless.lock, new Date(forgottenAt), new Date(forgottenAt));
    },
    keys: () => keysIn(root),
    place,
    list: () => Promise.all(keysIn(root).map((key) => listed(key, place(key)))),
    remove: async (key) => {
      const { directory, lock } = place(key);
      if (!isPresent(directory)) return true;
      const held = await tryLock(lock, 'exclusive');
      if (!held) return false;
      await take(directory);
      await held.release();
      return true;
    },
    trim: async () => {
      await removeTrees(await abandoned(root));
      const layers = await Promise.all(keysIn(root).map((key) => listed(key, place(key))));
      let total = layers.reduce((sum, { bytes }) => sum + bytes, 0);
      for (const { directory, bytes, usedAt } of layers.sort((a, b) => a.usedAt - b.usedAt)) {
        const kept = total <= capBytes || Date.now() - usedAt < untouchableMs;
        if (kept && usedAt !== forgottenAt) break;
        const held = await tryLock(join(directory, 'lock'), 'exclusive');
        if (!held) continue;
        await take(directory);
        await held.release();
        total -= bytes;
      }
    },
  };
}

function isPresent(directory: string): boolean {
  return statSync(directory, { throwIfNoEntry: false }) !== undefined;
}

function keysIn(root: string): string[] {
  const names = isPresent(root) ? readdirSync(root) : [];
  return names.filter((name) => /^[0-9a-f]{64}$/.test(name));
}

async function listed(key: string, layer: CachedLayer): Promise<ListedLayer> {
  const { directory, lock } = layer;
  const own = Number(await readFile(join(directory, 'bytes'), 'utf8'));
  const bytes = own + (await sharedBytes(directory));
  return { ...layer, key, bytes, usedAt: (await stat(lock)).mtimeMs };
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
