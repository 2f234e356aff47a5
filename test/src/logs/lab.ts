import { createHash } from 'node:crypto';
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { onTestFinished } from 'vitest';
import type { LogEntry, LogPosition } from '../../../src/logs.ts';
import { openLogReader } from '../../../src/logs/reader.ts';
import { openLogWriter } from '../../../src/logs/writer.ts';
import { createChanges } from '../../../src/records/changes.ts';
import type { Fence } from '../../../src/records.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import { openFileStorage } from '../../../src/storage/file.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import { fractionsFrom } from '../../random.ts';

/** Builds with logs, without the queue: what the queue writes into a build's hash is written here. */
export interface Lab {
  readonly redis: RedisHandle;
  /** The storage itself; writers and readers see it through `around`. */
  readonly storage: Storage;
  readonly logs: ReturnType<typeof openLogReader>;
  /** Starts (or starts again) a build, and returns the fence of the attempt. */
  begin(id: string): Promise<Fence>;
  /** Writes a status as the finish script does. */
  end(id: string, status: string): Promise<void>;
  writer(fence: Fence, signal?: AbortSignal): ReturnType<typeof openLogWriter>;
  /** Reads to the end, or until `enough` bytes. */
  read(id: string, from?: number | LogPosition, enough?: number): Promise<LogEntry[]>;
}

/** @param around puts something between the logs and their storage, as a delay */
export function makeLab(
  redis: RedisHandle,
  around: (storage: Storage) => Storage = (storage) => storage,
): Lab {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-logs-'));
  const storage = openFileStorage(directory);
  const seen = around(storage);
  const changes = createChanges(redis);
  const logs = openLogReader({ redis, storage: seen, records: changes });
  onTestFinished(async () => {
    logs.close();
    changes.close();
    // A writer that was stopped may have a file on its way.
    await rm(directory, { recursive: true, maxRetries: 5 });
  });
  const key = (id: string) => `${redis.prefix}b:${id}`;
  return {
    redis,
    storage,
    logs,
    begin: async (id) => {
      const attempt = Number((await redis.client.hget(key(id), 'attempt')) ?? 0) + 1;
      const worker = `session-${attempt}`;
      await redis.client.hset(key(id), { status: 'running', attempt, worker });
      await redis.client.publish(`${redis.prefix}c:${id}`, 'status running');
      return { id, attempt, worker };
    },
    end: async (id, status) => {
      await redis.client.hset(key(id), { status });
      await redis.client.publish(`${redis.prefix}c:${id}`, `end ${status}`);
    },
    writer: (fence, signal) => openLogWriter({ redis, storage: seen, fence, ...(signal && { signal }) }),
    read: async (id, from = 0, enough = Infinity) => {
      const entries: LogEntry[] = [];
      let bytes = 0;
      for await (const entry of logs.read(id, from)) {
        entries.push(entry);
        bytes += entry.data.length;
        if (bytes >= enough) break;
      }
      return entries;
    },
  };
}

/** Fails unless the entries follow each other without gap or overlap; returns their bytes. */
export function bytesOf(entries: readonly LogEntry[], start = 0): Buffer {
  let at = start;
  for (const { offset, data } of entries) {
    if (offset !== at) throw new Error(`an entry at ${offset} follows what ended at ${at}`);
    at += data.length;
  }
  return Buffer.concat(entries.map(({ data }) => data));
}

/** `count` bytes that depend on the seed, every value among them. */
export function noise(count: number, seed: number): Buffer {
  const block = Buffer.concat(
    Array.from({ length: 64 }, (_, i) => createHash('sha512').update(`${seed} ${i}`).digest()),
  );
  const bytes = Buffer.alloc(count, block);
  // No two stretches alike, so that one in the wrong place shows.
  for (let at = 0; at + 8 <= count; at += 1021) bytes.writeDoubleLE(at + seed, at);
  return bytes;
}

export const MiB = 1024 ** 2;

/** Writes bytes in chunks of random size, the steps by turns. */
export async function write(
  log: ReturnType<Lab['writer']>,
  bytes: Buffer,
  {
    seed,
    steps = ['only'],
    largest = 3 * MiB,
  }: { seed: number; steps?: readonly string[]; largest?: number },
): Promise<void> {
  const next = fractionsFrom(seed);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    // As many small ones as large ones.
    const size = Math.ceil(largest ** next());
    await log.append(steps[i % steps.length] ?? '', bytes.subarray(at, at + size));
    at += size;
  }
}

/** All of an object of the storage. */
export async function stored(storage: Storage, key: string): Promise<Buffer> {
  return buffer((await storage.get(key)).body);
}
