import { setTimeout as sleep } from 'node:timers/promises';
import { type LogEntry, type LogWriter, StaleFence } from '../logs.ts';
import type { Fence } from '../records.ts';
import { attemptPrefix } from '../records/stored.ts';
import type { RedisHandle } from '../redis.ts';
import type { Storage } from '../storage/storage.ts';
import { chunkBytes, putChunk, removeChunks, writeWhole } from './archive.ts';
import { createCondition } from './condition.ts';
import { joinPieces, type Piece, sliceEntries } from './entries.ts';
import { persistently, whileRedisIsAway } from './persistence.ts';
import { appendEntries, expireStream } from './stream.ts';

/** What comes within this time goes to Redis together; the first after a pause goes at once. */
const batchMs = 25;
const batchBytes = 256 * 1024;
/** More that Redis has not acknowledged makes the build wait. */
const maxUnacknowledged = 1024 * 1024;
/** More that is in Redis and not in storage makes Redis, and so the build, wait for the storage. */
const maxUnarchived = 2 * chunkBytes;

export interface LogWriterOptions {
  readonly redis: RedisHandle;
  readonly storage: Storage;
  /** The attempt that writes; when it is not the running one any more, the log ends with StaleFence. */
  readonly fence: Fence;
  /** Ends the log at once: nothing is written any more. */
  readonly signal?: AbortSignal;
}

/**
 * Writes the log of one attempt: to Redis in batches, from there a MiB at a time to storage. Everything that is not in
 * storage is kept in memory (3 MiB at most), so that what a restarted Redis has lost is sent again.
 */
export function openLogWriter({ redis, storage, fence, signal }: LogWriterOptions): LogWriter {
  const prefix = attemptPrefix(fence.id, fence.attempt);
  const what = `the log of build ${fence.id}`;
  const end = new AbortController();
  const stop = signal ? AbortSignal.any([signal, end.signal]) : end.signal;
  const changed = createCondition();
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => {});
  stop.addEventListener('abort', () => {
    stopped.reject(stop.reason);
    changed.notify();
  });

  /** Taken and not yet made entries of. */
  let pieces: Piece[] = [];
  /** From `archived` on, except what is still in pieces. */
  let entries: LogEntry[] = [];
  let cut: number | undefined;
  let closing = false;
  // Bytes of the log, each a part of the one before: taken; made entries of; in Redis; in storage.
  let taken = 0;
  let joined = 0;
  let acknowledged = 0;
  let archived = 0;

  const unacknowledged = () => taken - acknowledged;

  const join = () => {
    entries.push(...joinPieces(fence.attempt, joined, pieces, batchBytes));
    pieces = [];
    joined = taken;
  };

  const send = async (): Promise<void> => {
    for (let lastMs = -batchMs; ; ) {
      await changed.until(
        () =>
          stop.aborted ||
          (unacknowledged() > 0 && acknowledged - archived < maxUnarchived) ||
          (closing && unacknowledged() === 0),
      );
      if (stop.aborted || unacknowledged() === 0) return;
      const pause = lastMs + batchMs - performance.now();
      if (pause > 0 && unacknowledged() < batchBytes && !closing) {
        await Promise.race([
          sleep(pause),
          changed.until(() => stop.aborted || closing || unacknowledged() >= batchBytes),
        ]);
      }
      join();
      lastMs = performance.now();
      const batch = sliceEntries(entries, acknowledged, acknowledged + batchBytes);
      const stored = await whileRedisIsAway(stop, what, () => appendEntries(redis, fence, batch, archived));
      if (stored === 'stale') throw new StaleFence(fence.id, fence.attempt);
      // Less than before: the server has lost some, and gets it again.
      acknowledged = Math.max(stored, archived);
      changed.notify();
    }
  };

  const archive = async (): Promise<void> => {
    for (;;) {
      const full = () => acknowledged - archived >= chunkBytes;
      await changed.until(() => stop.aborted || full() || (closing && unacknowledged() === 0));
      if (stop.aborted || !full()) return;
      const chunk = sliceEntries(entries, archived, archived + chunkBytes);
      await persistently(stop, what, () => putChunk(storage, prefix, chunk));
      archived += chunkBytes;
      acknowledged = Math.max(acknowledged, archived);
      entries = entries.filter(({ offset, data }) => offset + data.length > archived);
      changed.notify();
    }
  };

  const giveUp = (error: unknown) => end.abort(error);
  const working = Promise.all([send().catch(giveUp), archive().catch(giveUp)]);

  return {
    append: (step, chunk) => {
      if (stop.aborted) return stopped.promise;
      if (closing || chunk.length === 0) return undefined;
      pieces.push({ step, data: chunk, cutBytes: cut });
      cut = undefined;
      const before = unacknowledged();
      taken += chunk.length;
      if (before === 0 || unacknowledged() >= batchBytes) changed.notify();
      if (unacknowledged() <= maxUnacknowledged) return undefined;
      const room = changed.until(() => unacknowledged() <= maxUnacknowledged);
      return Promise.race([room, stopped.promise]);
    },
    mark: (cutBytes) => {
      cut = (cut ?? 0) + cutBytes;
    },
    close: async () => {
      closing = true;
      changed.notify();
      await Promise.race([working, stopped.promise]);
      stop.throwIfAborted();
      const rest = {
        chunks: archived / chunkBytes,
        tail: sliceEntries(entries, archived, Infinity),
        lastCut: cut ?? 0,
      };
      const writing = persistently(stop, what, () => writeWhole(storage, prefix, rest));
      const { bytes } = await Promise.race([writing, stopped.promise]);
      // The log is safe; what is left over takes space, and sealLog removes it when it is called.
      if (archived > 0) await removeChunks(storage, prefix).catch(() => {});
      await expireStream(redis, fence).catch(() => {});
      return { bytes };
    },
  };
}
