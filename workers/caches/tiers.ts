import { CommandError } from '../../runtime/command.ts';
import { ImageError } from '../../runtime/images/image.ts';
import { tryLock } from '../../runtime/images/lock.ts';
import type { LayerCache } from '../layer-cache.ts';
import type { CacheKey } from './key.ts';
import { type Filled, type LocalSnapshot, localSnapshots } from './local.ts';
import { type CacheName, layerKey, placeOf } from './place.ts';
import type { StoredSnapshot, StoredSnapshots } from './stored.ts';
import { bytesWords } from './words.ts';

/** A snapshot that was looked for. */
export interface Restored {
  readonly snapshot: LocalSnapshot;
  /** `exact`: of the key itself; `newest`: the cache's last one, of another key. */
  readonly match: 'exact' | 'newest';
}

/** Takes a line for the log. */
export type Say = (line: string) => void;

/** Snapshots of this machine and, below them, those that all workers share. */
export interface SnapshotTiers {
  /** Brings the best snapshot there is to this machine. Does not throw: what goes wrong is said, and as good as none. */
  restore(cache: CacheName, key: CacheKey, say: Say): Promise<Restored | undefined>;
  /** Whether a snapshot of the key is on this machine, so that another one would be dropped. */
  has(cache: CacheName, key: string): boolean;
  /** Keeps what `fill` puts into a directory, and sends it to storage later. Throws what `fill` throws. */
  save(cache: CacheName, key: string, fill: (tree: string) => Promise<Filled>): Promise<LocalSnapshot>;
  /** Resolves when nothing is on its way to storage any more, and no more is kept here than may be. */
  settled(): Promise<void>;
}

export interface TierParts {
  /** Of snapshots alone. */
  readonly layers: LayerCache;
  /** Undefined: this machine is all there is. */
  readonly stored: StoredSnapshots | undefined;
  /** Hears what went wrong after the build that it was for. */
  readonly onTrouble: (error: unknown, what: string) => void;
}

/** Between two lines that tell how far a snapshot is. */
const progressMs = 5_000;

export function snapshotTiers({ layers, stored, onTrouble }: TierParts): SnapshotTiers {
  const local = localSnapshots(layers);
  /** By layer; builds that want the same wait for the first. */
  const fetching = new Map<string, Promise<LocalSnapshot>>();
  let background: Promise<void> = Promise.resolve();

  const later = (what: string, work: () => Promise<void>) => {
    background = background.then(work).catch((error: unknown) => onTrouble(error, what));
  };

  const fetchOnce = (known: StoredSnapshot, from: StoredSnapshots, say: Say): Promise<LocalSnapshot> => {
    const key = layerKey(placeOf(known), known.key);
    const under = fetching.get(key);
    if (under) {
      say('waits for another build that fetches it');
      return under;
    }
    const work = local
      .add(known, known.key, async (tree) => {
        await from.fetch(known, tree, progressLines(known, say));
        const { files, bytes, entries, savedAt } = known;
        return { files, bytes, entries, savedAt };
      })
      .finally(() => fetching.delete(key));
    fetching.set(key, work);
    later('trimming caches', () => layers.trim());
    return work;
  };

  const fetchStored = async (
    find: (from: StoredSnapshots) => Promise<StoredSnapshot | undefined>,
    say: Say,
  ): Promise<LocalSnapshot | undefined> => {
    if (!stored) return undefined;
    let known: StoredSnapshot | undefined;
    try {
      known = await find(stored);
      if (!known) return undefined;
      // It may be here, as that of another key.
      return (await local.find(known, known.key, damaged(say))) ?? (await fetchOnce(known, stored, say));
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      say(`${known ? 'cannot be fetched' : 'cannot be looked for'}: ${reason}`);
      const unusable = error instanceof ImageError || error instanceof CommandError;
      if (known && unusable)
        await stored.drop(known).catch((failed: unknown) => onTrouble(failed, 'dropping a snapshot'));
      return undefined;
    }
  };

  return {
    restore: async (cache, key, say) => {
      if (key.kind === 'files') {
        const exact =
          (await local.find(cache, key.digest, damaged(say))) ??
          (await fetchStored((from) => from.find(cache, key.digest), say));
        if (exact) return { snapshot: exact, match: 'exact' };
      }
      const here = await local.newest(cache, damaged(say));
      const there = await fetchStored(async (from) => {
        const known = await from.newest(cache);
        return known && known.savedAt > (here?.facts.savedAt ?? '') ? known : undefined;
      }, say);
      const near = there ?? here;
      return near && { snapshot: near, match: 'newest' };
    },
    has: (cache, key) => layers.find(layerKey(placeOf(cache), key)) !== undefined,
    save: async (cache, key, fill) => {
      const snapshot = await local.add(cache, key, fill);
      later('sending a cache to storage', async () => {
        const held = await tryLock(snapshot.layer.lock, 'shared');
        if (!held) return;
        try {
          await stored?.put(snapshot.facts, snapshot.layer.tree);
        } finally {
          await held.release();
        }
      });
      later('trimming caches', () => layers.trim());
      return snapshot;
    },
    settled: async () => {
      let seen: Promise<void> | undefined;
      while (seen !== background) await (seen = background);
    },
  };
}

function damaged(say: Say) {
  return () => say('the snapshot here is damaged and was dropped');
}

function progressLines({ archiveBytes }: StoredSnapshot, say: Say): (bytes: number) => void {
  let told = Date.now();
  return (bytes) => {
    if (Date.now() - told < progressMs) return;
    told = Date.now();
    say(`${bytesWords(bytes)} of ${bytesWords(archiveBytes)} fetched`);
  };
}
