import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { type LogEntry, LogRestarted, LogStoreError, StaleFence } from '../../../src/logs.ts';
import { sealLog } from '../../../src/logs/seal.ts';
import { appendEntries } from '../../../src/logs/stream.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import { fractionsFrom } from '../../random.ts';
import { startRedis, useRedis } from '../../redis.ts';
import { bytesOf, makeLab, MiB, noise, stored, write } from './lab.ts';

const server = useRedis();
let redis: RedisHandle;

beforeAll(async () => {
  redis = await server.connect();
});

let builds = 0;
const newId = () => `build-${builds++}`;

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
    const next = fractionsFrom(15);
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
