import { setImmediate, setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { type LogEntry, LogMissing } from '../../../src/logs.ts';
import { appendEntries } from '../../../src/logs/stream.ts';
import type { Fence } from '../../../src/records.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import { useRedis } from '../../redis.ts';
import { bytesOf, makeLab, MiB, noise, stored, write } from './lab.ts';

const server = useRedis();
let redis: RedisHandle;

beforeAll(async () => {
  redis = await server.connect();
});

let builds = 0;
const newId = () => `build-${builds++}`;

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

function stepsOf(entries: readonly LogEntry[]): { offset: number; step: string }[] {
  return entries
    .map(({ offset, step }) => ({ offset, step }))
    .filter(({ step }, i, all) => all[i - 1]?.step !== step);
}

function plain({ offset, step, data, cutBytes }: LogEntry) {
  return [offset, step, data.toString('latin1'), cutBytes];
}
