import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { perFileBytes } from '../git/layers.ts';
import type { CachedLayer, LayerCache } from '../layer-cache.ts';
import { isIntact, writeManifest } from './manifest.ts';
import { type CacheName, layerKey, placeOf } from './place.ts';

/** What a snapshot says of itself. */
export interface SnapshotFacts extends CacheName {
  /** Digest of its key: 64 hexadecimal digits. */
  readonly key: string;
  /** ISO 8601. */
  readonly savedAt: string;
  readonly files: number;
  /** Of its files, holes included. */
  readonly bytes: number;
  readonly entries: number;
}

/** A snapshot on this machine; nobody writes to it any more. */
export interface LocalSnapshot {
  readonly facts: SnapshotFacts;
  readonly layer: CachedLayer;
}

/** Hears of a snapshot that was damaged and is not looked at again. */
export type OnDamaged = (facts: SnapshotFacts | undefined) => void;

/** Snapshots on this machine, in a LayerCache of their own. */
export interface LocalSnapshots {
  /** The snapshot of a key, which counts as used now. */
  find(cache: CacheName, key: string, onDamaged: OnDamaged): Promise<LocalSnapshot | undefined>;
  /** That of the cache which was saved last. */
  newest(cache: CacheName, onDamaged: OnDamaged): Promise<LocalSnapshot | undefined>;
  /**
   * Keeps what `fill` puts into the empty directory that it is given, unless it was there already: then `fill` is not
   * called, or what it did is dropped. Throws what `fill` throws.
   */
  add(cache: CacheName, key: string, fill: (tree: string) => Promise<Filled>): Promise<LocalSnapshot>;
}

/** `savedAt`: when it was saved elsewhere. `listing`: of the tree, as in Snapshot of runtime/sandbox.ts. */
export type Filled = Pick<SnapshotFacts, 'files' | 'bytes' | 'entries'> & {
  readonly savedAt?: string;
  readonly listing?: Buffer;
};

const factsFile = 'snapshot.json';

export function localSnapshots(layers: LayerCache): LocalSnapshots {
  const use = async (key: string, onDamaged: OnDamaged): Promise<LocalSnapshot | undefined> => {
    const layer = layers.find(key);
    if (!layer) return undefined;
    const facts = readFacts(layer.directory);
    if (facts && (await isIntact(layer.directory))) return { facts, layer };
    await layers.forget(key);
    onDamaged(facts);
    return undefined;
  };

  return {
    find: (cache, digest, onDamaged) => use(layerKey(placeOf(cache), digest), onDamaged),
    newest: async (cache, onDamaged) => {
      const { layers: prefix } = placeOf(cache);
      const found = layers.keys().filter((key) => key.startsWith(prefix));
      const savedAt = new Map(
        found.map((key) => [key, readFacts(layers.place(key).directory)?.savedAt ?? '']),
      );
      for (const key of found.sort((a, b) => ((savedAt.get(a) ?? '') > (savedAt.get(b) ?? '') ? -1 : 1))) {
        const snapshot = await use(key, onDamaged);
        if (snapshot) return snapshot;
      }
      return undefined;
    },
    add: async (cache, digest, fill) => {
      const key = layerKey(placeOf(cache), digest);
      const layer = await layers.make(key, async (directory) => {
        const tree = join(directory, 'tree');
        mkdirSync(tree, { mode: 0o755 });
        const { savedAt = new Date().toISOString(), listing, files, bytes, entries } = await fill(tree);
        const { project, name } = cache;
        const facts: SnapshotFacts = { project, name, key: digest, savedAt, files, bytes, entries };
        await writeManifest(directory, listing);
        writeFileSync(join(directory, factsFile), JSON.stringify(facts));
        return bytes + entries * perFileBytes;
      });
      const facts = readFacts(layer.directory);
      if (!facts) throw new TypeError(`the snapshot ${key} was damaged the moment it was made`);
      return { facts, layer };
    },
  };
}

/** Undefined: what is there is none, or damaged. */
export function readFacts(directory: string): SnapshotFacts | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, factsFile), 'utf8'));
  } catch {
    return undefined;
  }
}
