import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildRecord } from '../build.ts';
import { type LogEntry, LogMissing, type LogPosition, type LogReader, LogRestarted } from '../logs.ts';
import { parseOwn } from '../records/json.ts';
import type { Records } from '../records.ts';
import { attemptPrefix } from '../records/stored.ts';
import type { RedisHandle } from '../redis.ts';
import type { Storage } from '../storage/storage.ts';
import { type ArchivedLog, openArchivedLog } from './archive.ts';
import { type Bell, createBell } from './bell.ts';
import { sliceEntries } from './entries.ts';
import { readEntries } from './stream.ts';

export interface LogReaderOptions {
  readonly redis: RedisHandle;
  readonly storage: Storage;
  readonly records: Pick<Records, 'subscribe'>;
}

/** Changes are told; this is for those that were missed. */
const lookAgainMs = 1_000;

/** A chunk moves from Redis to storage, and from there into the finished log, in this time. */
const movingMs = 5_000;

/**
 * Reads logs wherever they are: Redis, chunks in storage, the finished log. One connection, however many read; close()
 * ends it, and reads that are under way reject.
 */
export function openLogReader({ redis, storage, records }: LogReaderOptions): LogReader & { close(): void } {
  const connection = redis.duplicate('log-reader');
  const waiting = new Set<Bell>();

  const stateOf = async (id: string) => {
    const [status, attempt] = await connection.hmget(`${redis.prefix}b:${id}`, 'status', 'attempt');
    if (!status) throw new LogMissing(`there is no build ${id}`);
    return {
      attempt: Number(attempt ?? 0),
      queued: status === 'queued',
      ended: status !== 'queued' && status !== 'running',
    };
  };

  /** How long the log of an ended build is, as its record says; a log that is shorter has lost its end. */
  const promisedBytes = async (id: string): Promise<number> => {
    const text = await connection.hget(`${redis.prefix}b:${id}`, 'record');
    if (text === null) return 0;
    const { log } = parseOwn<BuildRecord>(text);
    return log.bytes - log.cutBytes;
  };

  /** Some entries from a byte on, none when there is nothing after it; undefined: they are on the move, or lost. */
  const find = async (
    archived: ArchivedLog,
    id: string,
    { attempt, offset }: LogPosition,
    ended: boolean,
  ): Promise<LogEntry[] | undefined> => {
    const finished = ended ? await archived.whole(offset) : undefined;
    if (finished) return finished;
    const live = await readEntries(connection, redis.prefix, { id, attempt }, offset);
    if (live[0] && live[0].offset <= offset) return sliceEntries(live, offset, Infinity);
    if (!live[0] && !ended) return [];
    const stored = (await archived.chunk(offset)) ?? (await archived.whole(offset));
    return stored ?? (live[0] ? undefined : []);
  };

  async function* read(
    id: string,
    from: number | LogPosition,
    signal?: AbortSignal,
  ): AsyncGenerator<LogEntry> {
    const bell = createBell();
    waiting.add(bell);
    const unsubscribe = records.subscribe(id, bell.ring);
    const abort = () => {
      unsubscribe();
      bell.ring();
    };
    signal?.addEventListener('abort', abort, { once: true });
    try {
      const attempt = typeof from === 'number' ? await begun(id, bell, signal) : from.attempt;
      let offset = typeof from === 'number' ? from : from.offset;
      const archived = openArchivedLog(storage, attemptPrefix(id, attempt), attempt);
      let ended = false;
      let lostAt: number | undefined;
      for (;;) {
        if (signal?.aborted) return;
        bell.muffle();
        const entries = await find(archived, id, { attempt, offset }, ended);
        for (const entry of entries ?? []) {
          yield entry;
          if (signal?.aborted) return;
          offset = entry.offset + entry.data.length;
        }
        if (!entries) {
          lostAt ??= performance.now() + movingMs;
          if (performance.now() > lostAt) throw lost(id, attempt, offset);
          await sleep(20);
        } else lostAt = undefined;
        if (entries?.length !== 0) continue;
        if (ended) {
          if (offset < (await promisedBytes(id))) throw lost(id, attempt, offset);
          return;
        }
        const state = await stateOf(id);
        if (state.attempt > attempt) throw new LogRestarted(id, state.attempt);
        // All that there will be was written before: look once more.
        ended = state.ended;
        if (!ended) await bell.heard(lookAgainMs);
      }
    } finally {
      waiting.delete(bell);
      signal?.removeEventListener('abort', abort);
      unsubscribe();
    }
  }

  /** Waits for a worker to take the build; returns the attempt. */
  const begun = async (id: string, bell: Bell, signal?: AbortSignal): Promise<number> => {
    for (;;) {
      bell.muffle();
      const { attempt, queued } = await stateOf(id);
      if (!queued || signal?.aborted) return attempt;
      await bell.heard(lookAgainMs);
    }
  };

  return {
    read,
    close: () => {
      connection.disconnect();
      for (const { ring } of waiting) ring();
    },
  };
}

function lost(id: string, attempt: number, offset: number): LogMissing {
  return new LogMissing(`the log of build ${id}, attempt ${attempt}, is gone from byte ${offset} on`);
}
