import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createLogHub, type LogCursor } from '../../../src/api/hub.ts';
import { type LogEntry, type LogReader, LogRestarted } from '../../../src/logs.ts';
import { createRandom } from '../queue/random.ts';

/** Numbers from 0 to 1. */
function random(seed: number): () => number {
  const { below } = createRandom(seed);
  return () => below(2 ** 20) / 2 ** 20;
}

const limits = { segmentBytes: 64, keptBytes: 256, openReads: 2 };

/** A log that grows, cut anew for every read as the real one is, and a count of reads. */
function growingLog(next: () => number) {
  let bytes = Buffer.alloc(0);
  let ended = false;
  let failure: Error | undefined;
  let grown = Promise.withResolvers<void>();
  const open = new Set<number>();
  let reads = 0;

  const wake = () => {
    grown.resolve();
    grown = Promise.withResolvers();
  };
  const reader: LogReader = {
    read: async function* (_id, from, signal): AsyncGenerator<LogEntry> {
      const { attempt, offset: start } = typeof from === 'number' ? { attempt: 1, offset: from } : from;
      const key = ++reads;
      open.add(key);
      const aborted = new Promise<void>((resolve) => signal?.addEventListener('abort', () => resolve()));
      try {
        for (let offset = start; ; ) {
          if (signal?.aborted) return;
          if (failure) throw failure;
          if (offset < bytes.length) {
            const data = bytes.subarray(offset, offset + 1 + Math.floor(next() * 100));
            yield { attempt, offset, step: 's', data };
            offset += data.length;
          } else if (ended) return;
          else await Promise.race([grown.promise, aborted]);
        }
      } finally {
        open.delete(key);
      }
    },
  };
  return {
    reader,
    open,
    reads: () => reads,
    bytes: () => bytes,
    append: (text: string) => {
      bytes = Buffer.concat([bytes, Buffer.from(text)]);
      wake();
    },
    end: () => {
      ended = true;
      wake();
    },
    fail: (error: Error) => {
      failure = error;
      wake();
    },
  };
}

/** Reads a cursor to its end, with pauses. */
async function follow(
  open: (wake: () => void) => LogCursor,
  pause: () => number,
  leaveAfter = Infinity,
): Promise<Buffer> {
  let ring = Promise.withResolvers<void>();
  const cursor = open(() => ring.resolve());
  const got: Buffer[] = [];
  try {
    for (let taken = 0; taken < leaveAfter; taken++) {
      ring = Promise.withResolvers();
      const entry = cursor.next();
      if (entry === 'end') break;
      if (entry === 'wait') await ring.promise;
      else got.push(entry.frame('plain'));
      const ms = pause();
      if (ms > 0) await sleep(ms);
    }
  } finally {
    cursor.close();
  }
  return Buffer.concat(got);
}

describe.each(Array.from({ length: 20 }, (_, seed) => seed))('followers of a log, seed %i', (seed) => {
  test('each get every byte once and in order, from wherever they begin', async () => {
    const next = random(seed);
    const log = growingLog(next);
    const hub = createLogHub(log.reader, limits);
    const followers = Array.from({ length: 12 }, async () => {
      await sleep(next() * 20);
      const from = Math.floor(next() * 1.2 * log.bytes().length);
      // Some are slow, some go early.
      const pace = next() < 0.5 ? 0 : next() * 4;
      const leaveAfter = next() < 0.2 ? 5 : Infinity;
      const open = (wake: () => void) => hub.follow('b', { attempt: 1, offset: from }, wake);
      return { from, leaveAfter, got: await follow(open, () => pace * next(), leaveAfter) };
    });
    for (let i = 0; i < 40; i++) {
      log.append(`${i}:`.repeat(1 + Math.floor(next() * 30)));
      if (next() < 0.5) await sleep(next() * 2);
    }
    log.end();
    for (const { from, leaveAfter, got } of await Promise.all(followers)) {
      const expected = log.bytes().subarray(from);
      if (leaveAfter === Infinity) expect(got.toString()).toBe(expected.toString());
      else expect(expected.toString().startsWith(got.toString())).toBe(true);
    }
    await sleep(5);
    expect(log.open.size).toBe(0);
  });
});

test('a thousand followers side by side cost one read', async () => {
  const log = growingLog(random(1));
  const hub = createLogHub(log.reader);
  const followers = Array.from({ length: 1000 }, () =>
    follow(
      (wake) => hub.follow('b', { attempt: 1, offset: 0 }, wake),
      () => 0,
    ),
  );
  for (let i = 0; i < 100; i++) {
    log.append('x'.repeat(1000));
    await sleep(0);
  }
  log.end();
  for (const got of await Promise.all(followers)) expect(got.length).toBe(100_000);
  expect(log.reads()).toBe(1);
});

test('frames are made once for all', async () => {
  const log = growingLog(random(1));
  log.append('hello');
  log.end();
  const hub = createLogHub(log.reader);
  const frames = await Promise.all(
    Array.from({ length: 2 }, async () => {
      const ring = Promise.withResolvers<void>();
      const cursor = hub.follow('b', { attempt: 1, offset: 0 }, ring.resolve);
      if (cursor.next() === 'wait') await ring.promise;
      const entry = cursor.next();
      return entry === 'wait' || entry === 'end' ? undefined : entry.frame('event-stream');
    }),
  );
  expect(frames[0]).toBeInstanceOf(Buffer);
  expect(frames[0]).toBe(frames[1]);
});

test('an error of the log reaches all who wait, and who comes later may find it well', async () => {
  const log = growingLog(random(1));
  const hub = createLogHub(log.reader, limits);
  const open = (wake: () => void) => hub.follow('b', { attempt: 1, offset: 0 }, wake);
  const followers = Array.from({ length: 3 }, () => follow(open, () => 0));
  log.fail(new LogRestarted('b', 2));
  for (const outcome of await Promise.allSettled(followers)) {
    expect(outcome).toMatchObject({ status: 'rejected', reason: { attempt: 2 } });
  }
  expect(log.open.size).toBe(0);
});
