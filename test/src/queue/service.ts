import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { BuildRecord, Status } from '../../../src/build.ts';
import type { Claim, Handler, Result } from '../../../src/queue/claim.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import type { WorkerInfo } from '../../../src/queue/stats.ts';
import type { Timing } from '../../../src/queue/timing.ts';
import { openQueue, type QueueOptions } from '../../../src/queue.ts';
import { openRecords, type StoredBuild } from '../../../src/records.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import { openStorage } from '../../../src/storage/storage.ts';

/** In the proportions of the real one, about fifteen times as fast. */
export const quick: Timing = {
  beatMs: 200,
  giveUpMs: 700,
  lockMs: 1_000,
  tickMs: 50,
  turnMs: 50,
  lostMs: 300,
  archiveMs: 300,
  backoffMs: [100, 200],
};

/** Queue, records and a directory as storage; all of it goes when the test ends. */
export function openService(redis: RedisHandle, options: QueueOptions = {}) {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-queue-'));
  const storage = openStorage(`file:${directory}`);
  const records = openRecords(redis, storage);
  const troubles: unknown[] = [];
  const queue = openQueue(redis, records, {
    timing: quick,
    onTrouble: (error) => troubles.push(error),
    ...options,
  });
  const consumers: Consumer[] = [];
  const ticking = setInterval(
    () => void queue.tick().catch((error: unknown) => troubles.push(error)),
    quick.tickMs,
  );
  onTestFinished(async () => {
    clearInterval(ticking);
    await Promise.all(consumers.map((consumer) => consumer.close()));
    await queue.close();
    records.close();
    rmSync(directory, { recursive: true });
  });

  const get = async (id: string): Promise<StoredBuild> => {
    const stored = await records.get(id);
    if (!stored) throw new Error(`there is no build ${id}`);
    return stored;
  };
  return {
    queue,
    records,
    storage,
    directory,
    troubles,
    get,
    consume: (worker: Partial<WorkerInfo>, handler: Handler): Consumer => {
      const info = { id: 'worker', host: 'here', version: '1', labels: {}, slots: 1, ...worker };
      const consumer = queue.consume(info, handler);
      consumers.push(consumer);
      return consumer;
    },
    /** The record when the build has that state; it has 10 s. */
    reaches: async (id: string, status: Status): Promise<BuildRecord> => {
      return (await until(async () => [await get(id)].find((stored) => stored.status === status))).record;
    },
  };
}

/** Calls until something comes back that is not undefined or false. */
export async function until<T>(probe: () => T | Promise<T>, ms = 10_000): Promise<NonNullable<T>> {
  for (const deadline = performance.now() + ms; ; ) {
    const found = await probe();
    if (found !== undefined && found !== null && found !== false) return found;
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms`);
    await sleep(10);
  }
}

/** The end of a build whose commands did what they do. */
export function verdict(claim: Claim, status: Status = 'passed', more: Partial<BuildRecord> = {}): Result {
  return {
    kind: 'finished',
    record: { ...claim.record, status, finishedAt: new Date().toISOString(), ...more },
  };
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
