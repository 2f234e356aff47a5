import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { buffer } from 'node:stream/consumers';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type LogEntry, LogMissing, LogRestarted, LogStoreError, StaleFence } from '../../../src/logs.ts';
import { sealLog } from '../../../src/logs/seal.ts';
import { appendEntries } from '../../../src/logs/stream.ts';
import type { Fence } from '../../../src/records.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import type { Storage } from '../../../src/storage/storage.ts';
import { startRedis, useRedis } from '../../redis.ts';
import { bytesOf, type Lab, makeLab, noise, random } from './lab.ts';

const MiB = 1024 ** 2;
const server = useRedis();
let redis: RedisHandle;
beforeAll(async () => {
  redis = await server.connect();
});

let builds = 0;
const newId = () => `build-${builds++}`;

/** Writes bytes in chunks of random size, the steps by turns. */
async function write(
  log: ReturnType<Lab['writer']>,
  bytes: Buffer,
  {
    seed,
    steps = ['only'],
    largest = 3 * MiB,
  }: { seed: number; steps?: readonly string[]; largest?: number },
): Promise<void> {
  const next = random(seed);
  for (let at = 0, i = 0; at < bytes.length; i++) {
    // As many small ones as large ones.
    const size = Math.ceil(largest ** next());
    await log.append(steps[i % steps.length] ?? '', bytes.subarray(at, at + size));
    at += size;
  }
}

async function stored(storage: Storage, key: string): Promise<Buffer> {
  return buffer((await storage.get(key)).body);
}

const memory = async (id: string) => {
  const usages = await Promise.all(
    (await redis.client.keys(`${redis.prefix}log:${id}:*`)).map((key) =>
      redis.client.memory('USAGE', key, 'SAMPLES', 0),
    ),
  );
  return usages.reduce<number>((sum, each) => sum + (each ?? 0), 0);
};

describe('a log', () => {
  test.each([
    [1, 0, ['a']],
    [2, 1, ['a']],
    [3, 1000, ['a', 'b', 'c']],
    [4, MiB, ['a']],
    [5, MiB + 1, ['a', 'b']],
    [6, 4 * MiB - 1, ['a', 'b']],
    [7, 9 * MiB + 12_345, ['a', 'b', 'ü ä']],
  ])(
    '(seed %i) of %i bytes comes out exactly: live, archived, and as one object',
    async (seed, length, steps) => {
      const lab = makeLab(redis);
      const id = newId();
      const bytes = noise(length, seed);
      const fence = await lab.begin(id);
      const live = lab.read(id);
      const log = lab.writer(fence);
      await write(log, bytes, { seed, steps });
      const closed = log.close();
      void log.append('late', Buffer.from('an image that nobody waits for any more'));
      expect(await closed).toEqual({ bytes: length });
      await lab.end(id, 'passed');

      expect(bytesOf(await live).equals(bytes)).toBe(true);
      const archived = await lab.read(id);
      expect(bytesOf(archived).equals(bytes)).toBe(true);
      const prefix = `builds/${id}/attempts/1/`;
      expect((await stored(lab.storage, `${prefix}log`)).equals(bytes)).toBe(true);
      const keys: string[] = [];
      for await (const key of lab.storage.list(prefix)) keys.push(key);
      expect(keys.toSorted()).toEqual([`${prefix}log`, `${prefix}log.json`]);
      expect(stepsOf(archived)).toEqual(stepsOf(await live));
      expect(JSON.parse((await stored(lab.storage, `${prefix}log.json`)).toString())).toEqual({
        bytes: length,
        steps: stepsOf(archived),
        cuts: [],
      });
    },
  );

  test('can be read from any byte on, while it is written and afterwards', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const bytes = noise(3 * MiB + 500, 8);
    const log = lab.writer(await lab.begin(id));
    await write(log, bytes, { seed: 8, largest: 100_000 });
    const offsets = [0, 1, 1000, MiB - 1, MiB, MiB + 1, 2 * MiB + 77, 3 * MiB, 3 * MiB + 499, 3 * MiB + 500];
    const all = async (): Promise<void> => {
      for (const from of offsets) {
        const part = from === bytes.length ? [] : await lab.read(id, from, bytes.length - from);
        expect(bytesOf(part, from).equals(bytes.subarray(from)), `from ${from}`).toBe(true);
      }
    };
    await all();
    await log.close();
    await all();
    await lab.end(id, 'failed');
    await all();
    expect(await lab.read(id, bytes.length)).toEqual([]);
    // Also when Redis has let go of it.
    await redis.client.del(`${redis.prefix}log:${id}:1`);
    await all();
  });

  test('names the step of every byte, and the bytes that were cut', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const log = lab.writer(await lab.begin(id));
    // Without waiting: all of it goes in one batch.
    void log.append('one', Buffer.from('he'));
    void log.append('one', Buffer.from('ad'));
    log.mark(100);
    log.mark(20);
    void log.append('one', Buffer.from('tail'));
    void log.append('two', Buffer.from([0, 255, 10]));
    log.mark(5);
    const live = (await lab.read(id, 0, 11)).map(plain);
    expect(live).toEqual([
      [0, 'one', 'head', undefined],
      [4, 'one', 'tail', 120],
      [8, 'two', '\0\xFF\n', undefined],
    ]);
    await log.close();
    await lab.end(id, 'passed');
    expect((await lab.read(id)).map(plain)).toEqual(live);
    expect(JSON.parse((await stored(lab.storage, `builds/${id}/attempts/1/log.json`)).toString())).toEqual({
      bytes: 11,
      steps: [
        { offset: 0, step: 'one' },
        { offset: 8, step: 'two' },
      ],
      cuts: [
        { offset: 4, bytes: 120 },
        { offset: 11, bytes: 5 },
      ],
    });
  });

  test('is followed from before a worker has the build; the first byte comes at once', async () => {
    const lab = makeLab(redis);
    const id = newId();
    await redis.client.hset(`${redis.prefix}b:${id}`, { status: 'queued', attempt: 0 });
    const first = lab.read(id, 0, 5).then((entries) => ({ entries, at: performance.now() }));
    await sleep(50);
    const log = lab.writer(await lab.begin(id));
    const before = performance.now();
    void log.append('only', Buffer.from('hello'));
    const { entries, at } = await first;
    expect(bytesOf(entries).toString()).toBe('hello');
    expect(at - before).toBeLessThan(200);
    await log.close();
  });

  test('ends for followers when the build ends, also without a log and without a worker', async () => {
    const lab = makeLab(redis);
    const id = newId();
    await redis.client.hset(`${redis.prefix}b:${id}`, { status: 'queued', attempt: 0 });
    const followed = lab.read(id);
    await sleep(20);
    await lab.end(id, 'canceled');
    expect(await followed).toEqual([]);
    expect(await lab.read(id)).toEqual([]);
  });

  test('what is written right before the end is read as well, however close the two are', async () => {
    const lab = makeLab(redis);
    const data = Buffer.from('last words');
    const append = (fence: Fence) =>
      appendEntries(redis, fence, [{ attempt: 1, offset: 0, step: 'only', data }], 0);
    // Redis knows the script from here on: what follows it is not overtaken.
    await append(await lab.begin(newId()));
    for (let round = 0; round < 200; round++) {
      const fence = await lab.begin(newId());
      const read = lab.read(fence.id);
      // While the reader looks: for the attempt, for entries, whether the build goes on.
      for (let turns = round % 20; turns > 0; turns--) await setImmediate();
      void append(fence);
      await lab.end(fence.id, 'passed');
      expect(bytesOf(await read).toString()).toBe('last words');
    }
  });

  test('that has lost its end says so, after what there is', async () => {
    const lab = makeLab(redis);
    const fence = await lab.begin(newId());
    const log = lab.writer(fence);
    await log.append('only', Buffer.from('0123456789'));
    await log.close();
    const record = { log: { bytes: 100, truncated: true, cutBytes: 80 } };
    await redis.client.hset(`${redis.prefix}b:${fence.id}`, 'record', JSON.stringify(record));
    await lab.end(fence.id, 'passed');
    const found: LogEntry[] = [];
    const reading = async () => {
      for await (const entry of lab.logs.read(fence.id, 0)) found.push(entry);
    };
    await expect(reading()).rejects.toThrow(`attempt 1, is gone from byte 10 on`);
    expect(bytesOf(found).toString()).toBe('0123456789');
  });

  test('of a build that nobody knows is missing', async () => {
    await expect(makeLab(redis).read('none')).rejects.toThrow(LogMissing);
  });
});

describe('load', () => {
  test('64 MiB pass within seconds; Redis and this process hold little of it', {
    timeout: 20_000,
  }, async () => {
    const lab = makeLab(redis);
    const id = newId();
    const bytes = noise(64 * MiB, 9);
    const log = lab.writer(await lab.begin(id));
    const followed = lab.read(id);
    const began = performance.now();
    let most = 0;
    for (let at = 0; at < bytes.length; at += 64 * 1024) {
      await log.append('only', bytes.subarray(at, at + 64 * 1024));
      if (at % (4 * MiB) === 0) most = Math.max(most, await memory(id));
    }
    await log.close();
    await lab.end(id, 'passed');
    expect(performance.now() - began).toBeLessThan(10_000);
    expect(most).toBeLessThan(3.5 * MiB);
    expect(bytesOf(await followed).equals(bytes)).toBe(true);
  });

  test('a slow storage makes the writer wait, and loses nothing', async () => {
    let storing = 0;
    const lab = makeLab(redis, (storage) => ({
      ...storage,
      put: async (key, body) => {
        await sleep(100);
        storing++;
        return storage.put(key, body);
      },
    }));
    const id = newId();
    const bytes = noise(6 * MiB, 10);
    const log = lab.writer(await lab.begin(id));
    let taken = 0;
    for (let at = 0; at < bytes.length; at += 64 * 1024) {
      await log.append('only', bytes.subarray(at, at + 64 * 1024));
      taken = at + 64 * 1024;
      // Two objects a chunk: what is stored, 2 MiB in Redis, one on its way, one waiting.
      expect(taken).toBeLessThanOrEqual((storing / 2) * MiB + 4.5 * MiB);
      expect(await memory(id)).toBeLessThan(3.5 * MiB);
    }
    expect(storing).toBeGreaterThan(0);
    await log.close();
    await lab.end(id, 'passed');
    expect(bytesOf(await lab.read(id)).equals(bytes)).toBe(true);
  });

  test('slow, stalled and dead readers hold nobody up, and the slow one misses nothing', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const bytes = noise(8 * MiB, 11);
    const log = lab.writer(await lab.begin(id));
    const dead = new AbortController();
    const stalled = lab.logs.read(id, 0, dead.signal)[Symbol.asyncIterator]();
    const slow = (async () => {
      const entries: LogEntry[] = [];
      for await (const entry of lab.logs.read(id, 0)) {
        entries.push(entry);
        await sleep(5);
      }
      return entries;
    })();
    const first = stalled.next();
    await write(log, bytes, { seed: 11, largest: 200_000 });
    await first;
    await log.close();
    await lab.end(id, 'passed');
    expect(bytesOf(await slow).equals(bytes)).toBe(true);
    dead.abort();
    expect(await stalled.next()).toEqual({ done: true, value: undefined });
  });

  test('a reader that is aborted while it waits ends, and so does one whose process closes', async () => {
    const lab = makeLab(redis);
    const id = newId();
    await lab.begin(id);
    const abort = new AbortController();
    const waiting = lab.logs.read(id, 0, abort.signal)[Symbol.asyncIterator]().next();
    const closed = lab.logs.read(id, 0)[Symbol.asyncIterator]().next();
    await sleep(20);
    abort.abort();
    expect(await waiting).toEqual({ done: true, value: undefined });
    lab.logs.close();
    await expect(closed).rejects.toThrow('Connection is closed');
  });
});

describe('trouble', () => {
  test('a stale attempt writes nothing more, and says so', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const stale = lab.writer(await lab.begin(id));
    await stale.append('only', Buffer.from('before'));
    expect(bytesOf(await lab.read(id, 0, 6)).toString()).toBe('before');
    const fence = await lab.begin(id);
    await stale.append('only', Buffer.from('after'));
    await expect(stale.close()).rejects.toThrow(StaleFence);
    await expect(stale.append('only', Buffer.from('more'))).rejects.toThrow(
      `attempt 1 of build ${id} is not the one that runs`,
    );
    const log = lab.writer(fence);
    await log.append('only', Buffer.from('second'));
    await log.close();
    await lab.end(id, 'passed');
    expect(bytesOf(await lab.read(id)).toString()).toBe('second');
    await sealLog(redis, lab.storage, { id, attempt: 1 });
    expect((await stored(lab.storage, `builds/${id}/attempts/1/log`)).toString()).toBe('before');
  });

  test.each([
    ['another session', { worker: 'another' }],
    ['the next attempt, by the same session,', { attempt: 2 }],
    ['an ended build', { status: 'canceled' }],
  ])('%s is stale as well', async (_what, fields) => {
    const lab = makeLab(redis);
    const id = newId();
    const log = lab.writer(await lab.begin(id));
    await redis.client.hset(`${redis.prefix}b:${id}`, fields);
    await log.append('only', Buffer.from('x'));
    await expect(log.close()).rejects.toThrow(StaleFence);
    expect(await redis.client.keys(`${redis.prefix}log:${id}:*`)).toEqual([]);
  });

  test('a follower is told that the build was started again, also one that comes back', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const log = lab.writer(await lab.begin(id));
    await log.append('only', Buffer.from('first'));
    const seen: string[] = [];
    const following = (async () => {
      for await (const { data } of lab.logs.read(id, 0)) seen.push(data.toString());
    })();
    await expect.poll(() => seen).toEqual(['first']);
    await lab.begin(id);
    await expect(following).rejects.toMatchObject({ name: 'LogRestarted', attempt: 2 });
    await expect(lab.read(id, { attempt: 1, offset: 5 })).rejects.toThrow(LogRestarted);
  });

  test('a log whose worker died is sealed from what Redis and storage have, byte for byte', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const bytes = noise(3 * MiB + 999, 12);
    const dying = new AbortController();
    const fence = await lab.begin(id);
    const log = lab.writer(fence, dying.signal);
    await write(log, bytes, { seed: 12, steps: ['a', 'b'], largest: 50_000 });
    await lab.read(id, 0, bytes.length);
    dying.abort(new Error('worker lost'));
    await expect(log.close()).rejects.toThrow('worker lost');
    await lab.end(id, 'errored');
    // Before and after; and again.
    expect(bytesOf(await lab.read(id)).equals(bytes)).toBe(true);
    const index = await sealLog(redis, lab.storage, fence);
    expect(index.bytes).toBe(bytes.length);
    expect(await sealLog(redis, lab.storage, fence)).toEqual(index);
    await redis.client.del(`${redis.prefix}log:${id}:1`);
    expect(bytesOf(await lab.read(id)).equals(bytes)).toBe(true);
  });

  test('a part that storage has lost is named in the sealed log', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const bytes = noise(2.5 * MiB, 13);
    const dying = new AbortController();
    const fence = await lab.begin(id);
    const log = lab.writer(fence, dying.signal);
    await write(log, bytes, { seed: 13, largest: 50_000 });
    await lab.read(id, 0, bytes.length);
    const second = `builds/${id}/attempts/1/log.d/000001048576`;
    await expect.poll(() => lab.storage.head(second)).toBeDefined();
    // The trim comes with the next append.
    await log.append('only', Buffer.from('last'));
    await lab.read(id, bytes.length, 4);
    dying.abort();
    await lab.storage.removeAll(`builds/${id}/attempts/1/log.d/`);
    const index = await sealLog(redis, lab.storage, fence);
    expect(index.cuts).toEqual([{ offset: 0, bytes: expect.any(Number) }]);
    const missing = index.cuts[0]?.bytes ?? 0;
    expect(missing).toBeGreaterThan(0);
    const rest = Buffer.concat([bytes.subarray(missing), Buffer.from('last')]);
    expect((await stored(lab.storage, `builds/${id}/attempts/1/log`)).equals(rest)).toBe(true);
  });

  test('a storage that refuses for a while is tried again; one that goes on refusing ends the log', async () => {
    let refusals = 2;
    const lab = makeLab(redis, (storage) => ({
      ...storage,
      put: async (key, body) => {
        if (refusals-- > 0) throw new Error('ENOSPC: no space left on device');
        return storage.put(key, body);
      },
    }));
    const id = newId();
    const log = lab.writer(await lab.begin(id));
    await log.append('only', Buffer.from('x'));
    expect(await log.close()).toEqual({ bytes: 1 });

    refusals = Infinity;
    const another = newId();
    const full = lab.writer(await lab.begin(another));
    await full.append('only', Buffer.alloc(MiB));
    await expect(full.close()).rejects.toThrow(
      `cannot store the log of build ${another}: ENOSPC: no space left on device`,
    );
    await expect(full.append('only', Buffer.from('x'))).rejects.toThrow(LogStoreError);
  });

  test('a lost lock ends the log at once, also when the storage hangs', async () => {
    const lab = makeLab(redis, (storage) => ({ ...storage, put: () => new Promise(() => {}) }));
    const lost = new AbortController();
    const log = lab.writer(await lab.begin(newId()), lost.signal);
    await log.append('only', Buffer.alloc(MiB));
    const closing = log.close();
    await sleep(50);
    lost.abort(new Error('lost'));
    await expect(closing).rejects.toThrow('lost');
  });
});

describe('Redis', () => {
  test('killed and back, again and again, in the middle of a log: nothing is lost, nothing doubled', async () => {
    const own = await startRedis(['--appendonly', 'yes']);
    onTestFinished(() => own.stop());
    const lab = makeLab(await own.connect());
    const id = newId();
    const bytes = noise(5 * MiB, 14);
    const log = lab.writer(await lab.begin(id));
    const followed = lab.read(id);
    const writing = write(log, bytes, { seed: 14, largest: 20_000 });
    for (let round = 0; round < 3; round++) {
      await sleep(30);
      await own.kill();
      await sleep(30);
      await own.restart();
    }
    await writing;
    expect(await log.close()).toEqual({ bytes: bytes.length });
    await lab.end(id, 'passed');
    expect(bytesOf(await lab.read(id)).equals(bytes)).toBe(true);
    expect(bytesOf(await followed).equals(bytes)).toBe(true);
  });

  test('that has lost what it acknowledged gets it again', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const bytes = noise(5 * MiB, 15);
    const log = lab.writer(await lab.begin(id));
    const followed = lab.read(id);
    const next = random(15);
    let lost = 0;
    for (let at = 0; at < bytes.length; at += 10_000) {
      await log.append('only', bytes.subarray(at, at + 10_000));
      if (next() < 0.02) lost += await redis.client.del(`${redis.prefix}log:${id}:1`);
    }
    expect(lost).toBeGreaterThan(3);
    await log.close();
    await lab.end(id, 'passed');
    expect(bytesOf(await followed).equals(bytes)).toBe(true);
    expect(bytesOf(await lab.read(id)).equals(bytes)).toBe(true);
  });

  test('takes an append that comes twice once', async () => {
    const lab = makeLab(redis);
    const id = newId();
    const fence = await lab.begin(id);
    const entry = (offset: number, text: string): LogEntry => ({
      attempt: 1,
      offset,
      step: 'only',
      data: Buffer.from(text),
    });
    const append = (...entries: LogEntry[]) => appendEntries(redis, fence, entries, 0);
    expect(await append(entry(0, 'one'), entry(3, 'two'))).toBe(6);
    expect(await append(entry(0, 'one'), entry(3, 'two'))).toBe(6);
    expect(await append(entry(3, 'two'), entry(6, 'three'))).toBe(6);
    expect(await append(entry(9, 'too far'))).toBe(6);
    expect(await append(entry(6, 'three'))).toBe(11);
    expect(bytesOf(await lab.read(id, 0, 11)).toString()).toBe('onetwothree');
  });
});

function stepsOf(entries: readonly LogEntry[]): { offset: number; step: string }[] {
  return entries
    .map(({ offset, step }) => ({ offset, step }))
    .filter(({ step }, i, all) => all[i - 1]?.step !== step);
}

function plain({ offset, step, data, cutBytes }: LogEntry) {
  return [offset, step, data.toString('latin1'), cutBytes];
}
