import type { BuildRecord, Status } from './build.ts';
import type { RedisHandle } from './redis.ts';
import { archiveBuild, readArchived, recordKey, restoreFromArchive } from './records/archive.ts';
import { type Change, createChanges } from './records/changes.ts';
import { type BuildFilter, boundsOf, cursorAfter, indexOf } from './records/indexes.ts';
import { pageScript, progressScript } from './records/scripts.ts';
import { parseStored, recordFields } from './records/stored.ts';
import type { BuildSpec } from './spec.ts';
import { StorageMissing } from './storage/missing.ts';
import type { Storage } from './storage/storage.ts';

/** Says which attempt writes; all that is written for another one than the running one is refused. */
export interface Fence {
  readonly id: string;
  /** From 1. */
  readonly attempt: number;
  /** The session of the worker process. */
  readonly worker: string;
}

export interface StoredBuild {
  readonly spec: BuildSpec;
  readonly record: BuildRecord;
  readonly status: Status;
  /** 0: no worker has taken it yet. */
  readonly attempt: number;
}

/** The one truth about builds: in Redis, and in storage when they have ended. */
export interface Records {
  /** Undefined: there is no such build. Throws what Storage.get throws when a long record cannot be read. */
  get(id: string): Promise<StoredBuild | undefined>;
  /**
   * Newest first. A page takes the same time whatever the history. It may have fewer builds than `limit`, even none,
   * and still a `next` (by branch and status together); finished builds with long records come without steps and
   * artifacts. Throws BuildFilterError.
   */
  list(
    filter: BuildFilter,
    page: { readonly limit: number; readonly cursor?: string },
  ): Promise<{ builds: BuildRecord[]; next?: string }>;
  /** What a running attempt reports. `stale`: it does not run any more, and nothing was written. */
  progress(fence: Fence, record: BuildRecord): Promise<'ok' | 'stale'>;
  /** Calls the listener after each change, and once when listening has begun; returns what ends it. */
  subscribe(id: string, listener: (change: Change) => void): () => void;
  /** Puts an ended build into storage; for one that is there already, or is not ended, it does nothing. */
  archive(id: string): Promise<void>;
  /** Fills the lists of a Redis that lost its data from storage; returns how many builds were missing. */
  rebuild(): Promise<number>;
  close(): void;
}

/** Ids that one page looks at, per build wanted, when no index fits exactly. */
const lookedAtPerBuild = 10;

type Page = readonly [more: 0 | 1, last: string, ...rows: (string | null)[][]];

export function openRecords(redis: RedisHandle, storage: Storage): Records {
  const { client, prefix } = redis;
  const changes = createChanges(redis);
  return {
    get: async (id) => {
      const stored = parseStored(await client.hmget(`${prefix}b:${id}`, ...recordFields));
      if (!stored) return undefined;
      const cut = stored.kind === 'archived' && !stored.whole;
      const { unreported } = stored.record;
      const archived = cut || !stored.spec ? await readArchived(storage, id) : stored;
      const record = cut ? archived.record : stored.record;
      const spec = stored.spec ?? archived.spec;
      if (!spec) throw new StorageMissing(recordKey(id));
      const shown = unreported === undefined ? record : { ...record, unreported };
      return { spec, record: shown, status: record.status, attempt: record.attempt };
    },
    list: async (filter, { limit, cursor }) => {
      const { key, status } = indexOf(filter);
      const most = status === undefined ? limit : limit * lookedAtPerBuild;
      const bounds = boundsOf(filter, cursor);
      const args = [key, ...bounds, limit, most, status ?? '', ...recordFields];
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- as the script says
      const reply = (await pageScript.run(client, [prefix], args)) as Page;
      const [more, last, ...rows] = reply;
      const builds = rows.map((row) => parseStored(row)?.record).filter((record) => record !== undefined);
      return { builds, ...(more === 1 && { next: cursorAfter(last) }) };
    },
    progress: async ({ id, attempt, worker }, record) => {
      const args = [id, attempt, worker, JSON.stringify(record)];
      return (await progressScript.run(client, [prefix], args)) === 1 ? 'ok' : 'stale';
    },
    subscribe: changes.subscribe,
    archive: (id) => archiveBuild(redis, storage, id),
    rebuild: () => restoreFromArchive(redis, storage),
    close: () => changes.close(),
  };
}
