import { holderFile } from '../../runtime/host/holder.ts';
import { containBy } from '../../runtime/images/contain.ts';
import type { Storage } from '../../src/storage/storage.ts';
import { readFacts, type SnapshotFacts } from './local.ts';
import { snapshotLayers } from './open.ts';
import { layerKey, placeOf } from './place.ts';
import { storedSnapshots } from './stored.ts';

/** A snapshot as an operator sees it. */
export interface ShownSnapshot extends SnapshotFacts {
  /** ISO 8601; absent in storage, which does not know. */
  readonly usedAt?: string;
}

/** All snapshots of one tier. */
export interface CachesHere {
  /** The one saved last first. */
  list(): Promise<ShownSnapshot[]>;
  /** Whether it is gone: one that a build has stays. */
  remove(snapshot: SnapshotFacts): Promise<boolean>;
  /** Removes what no build can find any more, and what is too much. */
  trim(): Promise<void>;
}

export interface InventoryOptions {
  readonly dataDir: string;
  readonly maxBytes: number;
  /** Looks there; undefined: on this machine. */
  readonly storage: Storage | undefined;
}

export function openCachesHere({ dataDir, maxBytes, storage }: InventoryOptions): CachesHere {
  const newestFirst = <Saved extends SnapshotFacts>(all: readonly Saved[]) =>
    all.toSorted((a, b) => (a.savedAt > b.savedAt ? -1 : 1));

  if (storage) {
    const stored = storedSnapshots(storage, containBy(holderFile));
    return {
      list: async () =>
        newestFirst(await Array.fromAsync(stored.list())).map(
          ({ sha256: _sha256, archiveBytes: _archiveBytes, ...facts }) => facts,
        ),
      remove: async (snapshot) => {
        await stored.drop(snapshot);
        return true;
      },
      // Each save does so for its cache.
      trim: () => Promise.resolve(),
    };
  }

  const layers = snapshotLayers(dataDir, maxBytes);
  const keyOf = (facts: SnapshotFacts) => layerKey(placeOf(facts), facts.key);
  return {
    list: async () => {
      const all = (await layers.list()).flatMap(({ key, directory, usedAt }) => {
        const facts = readFacts(directory);
        // One that was dropped has lost its key.
        return facts && keyOf(facts) === key ? [{ ...facts, usedAt: new Date(usedAt).toISOString() }] : [];
      });
      return newestFirst(all);
    },
    remove: (snapshot) => layers.remove(keyOf(snapshot)),
    trim: () => layers.trim(),
  };
}
