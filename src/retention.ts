import type { BuildRecord } from './build.ts';
import { recordKey } from './records/archive.ts';
import { firstIdOf } from './records/indexes.ts';
import { parseOwn } from './records/json.ts';
import type { RedisHandle } from './redis.ts';
import { retireBuild, retireUpload } from './retention/scripts.ts';
import type { Storage } from './storage/storage.ts';

/** How long things are kept, in milliseconds. */
export interface Keep {
  /** After a build ended; undefined: for ever. */
  readonly buildsMs: number | undefined;
  /** After an upload was used last. One that only removed builds could ask for again goes with them. */
  readonly uploadsMs: number;
}

export interface Swept {
  readonly builds: number;
  readonly uploads: number;
}

/** Removes what is too old: ended builds that are in the archive, and uploads that no unfinished build needs. */
export interface Retention {
  /** Does what is due; `undefined`: another process has done it a moment ago, or does. To be called every minute. */
  sweep(): Promise<Swept | undefined>;
  /** Resolves when a sweep under way has stopped. */
  close(): Promise<void>;
}

/** Between two sweeps, of all processes together. A sweep takes half of it at most, and the next one goes on. */
const sweepMs = 10 * 60_000;
/** Between two looks for uploads that Redis does not know of: those of a Redis that lost its data. */
const adoptMs = 24 * 60 * 60_000;

/** Looked at by one command. */
const pageSize = 100;
/** Removed from storage at a time. */
const sideBySide = 8;

/**
 * Nothing is removed half: what goes leaves Redis in one step, which notes in the set `removing` what is to be deleted
 * from storage; then it is deleted, the record first, so that no rebuild of the lists finds it; then the note. Whoever
 * sweeps next goes on where a process died.
 */
export function openRetention(redis: RedisHandle, storage: Storage, keep: Keep): Retention {
  const { client, prefix } = redis;
  const closing = new AbortController();
  let sweeping: Promise<Swept | undefined> | undefined;

  const due = async (what: string, everyMs: number): Promise<boolean> =>
    (await client.set(`${prefix}${what}`, '1', 'PX', everyMs, 'NX')) !== null;

  const remove = async (place: string): Promise<void> => {
    const id = /^builds\/([^/]+)\/$/.exec(place)?.[1];
    if (id === undefined) await storage.remove(place);
    else {
      await storage.remove(recordKey(id));
      await storage.removeAll(place);
    }
    await client.srem(`${prefix}removing`, place);
  };

  /** @param retire takes one out of Redis; undefined: it stays. Returns how many were removed. */
  const removeEach = async <Item>(
    items: readonly Item[],
    retire: (item: Item) => Promise<string | undefined>,
  ): Promise<number> => {
    let removed = 0;
    for (let at = 0; at < items.length; at += sideBySide) {
      const some = items.slice(at, at + sideBySide);
      const places = (await Promise.all(some.map(retire))).filter((place) => place !== undefined);
      await Promise.all(places.map(remove));
      removed += places.length;
    }
    return removed;
  };

  const sweepBuilds = async (endedBefore: number, over: () => boolean): Promise<number> => {
    const bound = `(${firstIdOf(new Date(endedBefore).toISOString())}`;
    let removed = 0;
    for (let from = '-'; !over(); ) {
      const ids = await client.zrange(`${prefix}i:all`, from, bound, 'BYLEX', 'LIMIT', 0, pageSize);
      const texts = await Promise.all(ids.map((id) => client.hget(`${prefix}b:${id}`, 'record')));
      const records = texts.filter((text) => text !== null).map((text) => parseOwn<BuildRecord>(text));
      const old = records.filter(({ finishedAt = '' }) => Date.parse(finishedAt) < endedBefore);
      removed += await removeEach(old, (record) => retireBuild(redis, record));
      const last = ids.at(-1);
      if (last === undefined) break;
      from = `(${last}`;
    }
    return removed;
  };

  const adoptUploads = async (now: number): Promise<void> => {
    for await (const key of storage.list('uploads/')) {
      const digest = /^uploads\/([0-9a-f]{64})\.tar$/.exec(key)?.[1];
      if (digest !== undefined) await client.zadd(`${prefix}uploads`, 'NX', now, digest);
    }
  };

  const sweepUploads = async (usedBefore: number, over: () => boolean): Promise<number> => {
    let removed = 0;
    for (let skipped = 0; !over(); ) {
      const page = ['LIMIT', skipped, pageSize] as const;
      const digests = await client.zrangebyscore(`${prefix}uploads`, '-inf', usedBefore, ...page);
      if (digests.length === 0) break;
      const gone = await removeEach(digests, (digest) => retireUpload(redis, digest, usedBefore));
      removed += gone;
      skipped += digests.length - gone;
    }
    return removed;
  };

  const sweepOnce = async (): Promise<Swept | undefined> => {
    if (!(await due('sweep', sweepMs))) return undefined;
    const deadline = performance.now() + sweepMs / 2;
    const over = () => closing.signal.aborted || performance.now() > deadline;
    // Not this process' clock: the uploads have Redis' times.
    const [seconds = 0] = await client.time();
    const now = seconds * 1000;
    await removeEach(await client.smembers(`${prefix}removing`), (place) => Promise.resolve(place));
    const builds = keep.buildsMs === undefined ? 0 : await sweepBuilds(now - keep.buildsMs, over);
    if (await due('adopt', adoptMs)) await adoptUploads(now);
    const uploads = await sweepUploads(now - Math.min(keep.uploadsMs, keep.buildsMs ?? Infinity), over);
    return { builds, uploads };
  };

  return {
    sweep: () => (sweeping ??= sweepOnce().finally(() => (sweeping = undefined))),
    close: async () => {
      closing.abort();
      await sweeping?.catch(() => {});
    },
  };
}
