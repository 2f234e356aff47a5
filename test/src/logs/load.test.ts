import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import type { LogEntry } from '../../../src/logs.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import { useRedis } from '../../redis.ts';
import { bytesOf, makeLab, MiB, noise, write } from './lab.ts';

const server = useRedis();
let redis: RedisHandle;

beforeAll(async () => {
  redis = await server.connect();
});

let builds = 0;
const newId = () => `build-${builds++}`;

const memory = async (id: string) => {
  const usages = await Promise.all(
    (await redis.client.keys(`${redis.prefix}log:${id}:*`)).map((key) =>
      redis.client.memory('USAGE', key, 'SAMPLES', 0),
    ),
  );
  return usages.reduce<number>((sum, each) => sum + (each ?? 0), 0);
};

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
