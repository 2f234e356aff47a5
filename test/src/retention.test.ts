import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { encodeTime } from 'ulid';
import { describe, expect, test, vi } from 'vitest';
import type { Keep } from '../../src/retention.ts';
import { openRetention } from '../../src/retention.ts';
import { openRecords } from '../../src/records.ts';
import type { RedisHandle } from '../../src/redis.ts';
import type { BuildSource, BuildSpec } from '../../src/spec.ts';
import { touchUpload, uploadKey } from '../../src/uploads.ts';
import { useRedis } from '../redis.ts';
import { createRandom } from './queue/random.ts';
import { openService, until, verdict } from './queue/service.ts';
import { makeSpec } from './queue/specs.ts';

const redis = useRedis();
const day = 24 * 3_600_000;
const forever: Keep = { buildsMs: undefined, uploadsMs: 1e12 };
/** An id that was given out so many days ago; `n` tells those of one day apart. */
const idOf = (daysAgo: number, n = 0) =>
  `${encodeTime(Date.now() - daysAgo * day)}${String(n).padStart(16, '0')}`;

async function open() {
  const handle = await redis.connect();
  const service = openService(handle);
  const sweeper = (keep: Partial<Keep>) => {
    const retention = openRetention(handle, service.storage, { ...forever, ...keep });
    return async () => {
      // As if it were time.
      await handle.client.del(`${handle.prefix}sweep`, `${handle.prefix}adopt`);
      return retention.sweep();
    };
  };
  /** A build that ended so many days ago, with a log and an artifact. */
  const ended = async (
    id: string,
    daysAgo: number,
    source: BuildSource = { kind: 'none' },
    wanted: Partial<BuildSpec> = {},
  ) => {
    const { storage, queue, records } = service;
    const finishedAt = new Date(Date.now() - daysAgo * day).toISOString();
    const spec = makeSpec({ id, source, environment: { FINISHED: finishedAt }, ...wanted });
    const consumer = service.consume({}, async (claim) => {
      await storage.put(`builds/${id}/attempts/1/log`, Buffer.from('log'));
      await storage.put(`builds/${id}/attempts/1/artifacts/a/b`, Buffer.from('artifact'));
      return verdict(claim, 'failed', { finishedAt });
    });
    await queue.submit(spec);
    await until(async () => (await handle.client.hget(`${handle.prefix}b:${id}`, 'at')) === 'archived');
    await consumer.close();
    await records.archive(id);
    return id;
  };
  const ids = async () => (await service.records.list({}, { limit: 100 })).builds.map(({ id }) => id);
  return { ...service, handle, sweeper, ended, ids };
}

/** Everything in Redis below the prefix, as text. */
async function everything({ client, prefix }: RedisHandle): Promise<string> {
  const parts: unknown[] = [];
  for (const key of await client.keys(`${prefix}*`)) {
    const type = await client.type(key);
    if (type === 'hash') parts.push(key, await client.hgetall(key));
    if (type === 'zset') parts.push(key, await client.zrange(key, '-inf', '+inf', 'BYSCORE'));
    if (type === 'set') parts.push(key, await client.smembers(key));
    if (type === 'string') parts.push(key, await client.get(key));
  }
  return JSON.stringify(parts);
}

describe('a build that ended before the time for which builds are kept', () => {
  test('leaves nothing, in Redis or in storage', async () => {
    const { ended, sweeper, handle, directory, ids } = await open();
    const source = { kind: 'upload', digest: 'd'.repeat(64), bytes: 1, ref: 'a:main' } as const;
    const old = await ended(idOf(100), 91, source);
    const young = await ended(idOf(99), 89, source);
    expect(await sweeper({ buildsMs: 90 * day })()).toEqual({ builds: 1, uploads: 0 });
    expect(await ids()).toEqual([young]);
    expect(await everything(handle)).not.toContain(old);
    expect(readdirSync(join(directory, 'builds'))).toEqual([young]);
    expect(readdirSync(join(directory, 'builds', young, 'attempts/1'))).toEqual(['artifacts', 'log']);
  });

  describe('and of which its forge was not told', () => {
    const commitOf = (sha: string) =>
      ({ kind: 'git', url: 'https://forge.example/x', repository: 'o/r', repo: 'o/r', sha }) as const;
    const asked = { report: 'commit-status' } as const;
    const reportsOf = ({ client, prefix }: RedisHandle) =>
      Promise.all([client.keys(`${prefix}report:*`), client.zrange(`${prefix}reports`, '0', '-1')]);

    test('leaves no note of that, and who tells it meanwhile makes none', async () => {
      const { ended, sweeper, handle, queue } = await open();
      const old = await ended(idOf(100), 91, commitOf('a'.repeat(40)), asked);
      const [report, ...others] = await queue.reports.take(9, 60_000);
      expect([report?.build, others]).toEqual([old, []]);
      await sweeper({ buildsMs: 90 * day })();
      expect(await reportsOf(handle)).toEqual([[], []]);
      expect(report && (await queue.reports.settle(report, { kind: 'failed', afterMs: 1 }, true))).toBe(
        false,
      );
      expect(await reportsOf(handle)).toEqual([[], []]);
      expect(await everything(handle)).not.toContain(old);
    });

    test('leaves the note of a newer build of the same commit', async () => {
      const { ended, sweeper, handle, queue } = await open();
      await ended(idOf(100), 91, commitOf('b'.repeat(40)), asked);
      const young = await ended(idOf(99), 89, commitOf('b'.repeat(40)), asked);
      expect(await sweeper({ buildsMs: 90 * day })()).toEqual({ builds: 1, uploads: 0 });
      const [keys, commits] = await reportsOf(handle);
      expect([keys.length, commits.length]).toEqual([1, 1]);
      expect((await queue.reports.take(9, 60_000)).map(({ build }) => build)).toEqual([young]);
    });
  });

  test('stays when nothing says that builds are ever removed', async () => {
    const { ended, sweeper, ids } = await open();
    const old = await ended(idOf(9_000), 8_999);
    expect(await sweeper({})()).toEqual({ builds: 0, uploads: 0 });
    expect(await ids()).toEqual([old]);
  });

  test('is not one that still waits or runs, or is not in the archive yet', async () => {
    const { queue, records, consume, sweeper, ids } = await open();
    const waiting = makeSpec({ id: idOf(100), labels: { never: 'there' } });
    const running = makeSpec({ id: idOf(101) });
    const unarchived = makeSpec({ id: idOf(102), labels: { neither: 'here' } });
    const finish = Promise.withResolvers<void>();
    consume({}, async (claim) => {
      await finish.promise;
      return verdict(claim, 'passed', { finishedAt: new Date(0).toISOString() });
    });
    for (const spec of [waiting, running, unarchived]) await queue.submit(spec);
    const archiving = vi.spyOn(records, 'archive').mockRejectedValue(new Error('the store is away'));
    await queue.cancel(unarchived.id);
    await until(async () => (await records.get(running.id))?.status === 'running');
    const sweep = sweeper({ buildsMs: -day });
    expect(await sweep()).toEqual({ builds: 0, uploads: 0 });
    finish.resolve();
    await until(async () => (await records.get(running.id))?.status === 'passed');
    expect(await sweep()).toEqual({ builds: 0, uploads: 0 });
    expect(await ids()).toEqual([waiting.id, running.id, unarchived.id]);
    archiving.mockRestore();
    await until(async () => {
      await sweep();
      return (await ids()).length === 1;
    });
    expect(await ids()).toEqual([waiting.id]);
  });

  test('is skipped by a list that somebody reads page by page meanwhile', async () => {
    const { ended, sweeper, records } = await open();
    const random = createRandom(11);
    const made: { id: string; daysAgo: number }[] = [];
    for (let n = 0; n < 12; n++) {
      const daysAgo = random.chance(0.5) ? 95 : 1;
      made.unshift({ id: await ended(idOf(120 - n), daysAgo), daysAgo });
    }
    const first = await records.list({ status: 'failed' }, { limit: 4 });
    expect(first.builds.map(({ id }) => id)).toEqual(made.slice(0, 4).map(({ id }) => id));
    await sweeper({ buildsMs: 90 * day })();
    const second = await records.list({ status: 'failed' }, { limit: 20, cursor: first.next ?? '' });
    const left = made.slice(4).filter(({ daysAgo }) => daysAgo === 1);
    expect(left.length).toBeGreaterThan(0);
    expect(second.builds.map(({ id }) => id)).toEqual(left.map(({ id }) => id));
  });

  test('is removed although hundreds that stay are older', async () => {
    const { queue, ended, sweeper, ids } = await open();
    for (let n = 0; n < 250; n++) {
      await queue.submit(makeSpec({ id: idOf(200, n), labels: { never: 'there' } }));
    }
    const old = await ended(idOf(150), 91);
    expect(await sweeper({ buildsMs: 90 * day })()).toEqual({ builds: 1, uploads: 0 });
    expect(await ids()).not.toContain(old);
  });
});

describe('a sweep that breaks off', () => {
  test.for(['remove', 'removeAll'] as const)('before %s is gone on with by the next one', async (call) => {
    const { ended, sweeper, storage, directory, ids, records } = await open();
    const old = await ended(idOf(100), 91);
    const sweep = sweeper({ buildsMs: 90 * day });
    vi.spyOn(storage, call).mockRejectedValueOnce(new Error('killed'));
    await expect(sweep()).rejects.toThrow('killed');
    expect(await ids()).toEqual([]);
    expect(existsSync(join(directory, 'builds', old))).toBe(true);
    // Not even half of it comes back: neither here, nor …
    expect(await records.rebuild()).toBe(0);
    // … when Redis was lost as well, if its record is gone already.
    if (call === 'removeAll') expect(await openRecords(await redis.connect(), storage).rebuild()).toBe(0);
    expect(await sweep()).toEqual({ builds: 0, uploads: 0 });
    expect(existsSync(join(directory, 'builds', old))).toBe(false);
  });

  test('leaves the rest to the next one when the process is told to end', async () => {
    const { ended, handle, storage, ids } = await open();
    const old = await ended(idOf(100), 91);
    const retention = openRetention(handle, storage, { ...forever, buildsMs: 90 * day });
    await retention.close();
    expect(await retention.sweep()).toEqual({ builds: 0, uploads: 0 });
    expect(await ids()).toEqual([old]);
  });
});

test('of all processes one sweeps at a time', async () => {
  const { ended, storage, handle } = await open();
  await ended(idOf(100), 91);
  const keep = { ...forever, buildsMs: 90 * day };
  const processes = Array.from({ length: 5 }, () => openRetention(handle, storage, keep));
  const swept = await Promise.all(processes.map((retention) => retention.sweep()));
  expect(swept.filter((each) => each !== undefined)).toEqual([{ builds: 1, uploads: 0 }]);
  expect(await processes[0]?.sweep()).toBeUndefined();
});

describe('an upload that was not used for as long as uploads are kept', () => {
  const digest = 'a'.repeat(64);
  const source = { kind: 'upload', digest, bytes: 3 } as const;
  const put = async ({ handle, storage }: Awaited<ReturnType<typeof open>>, daysAgo: number) => {
    await storage.put(uploadKey(digest), Buffer.from('tar'));
    await handle.client.zadd(`${handle.prefix}uploads`, Date.now() - daysAgo * day, digest);
  };

  test('is removed', async () => {
    const service = await open();
    await put(service, 31);
    expect(await service.sweeper({ uploadsMs: 30 * day })()).toEqual({ builds: 0, uploads: 1 });
    expect(await service.storage.head(uploadKey(digest))).toBeUndefined();
    expect(await everything(service.handle)).not.toContain(digest);
  });

  test('stays when somebody asked for it', async () => {
    const service = await open();
    await put(service, 31);
    await touchUpload(service.handle, digest);
    expect(await service.sweeper({ uploadsMs: 30 * day })()).toEqual({ builds: 0, uploads: 0 });
    expect(await service.storage.head(uploadKey(digest))).toEqual({ bytes: 3 });
  });

  test('stays while a build may run from it, and then for its time', async () => {
    const service = await open();
    const { queue, handle, sweeper, storage } = service;
    await put(service, 31);
    const specs = [makeSpec({ source }), makeSpec({ source, labels: { arch: 'none' } })];
    for (const spec of specs) await queue.submit(spec);
    const age = () => handle.client.zadd(`${handle.prefix}uploads`, Date.now() - 31 * day, digest);
    const sweep = sweeper({ uploadsMs: 30 * day });
    for (const { id } of specs) {
      await age();
      expect(await sweep()).toEqual({ builds: 0, uploads: 0 });
      await queue.cancel(id);
    }
    expect(await sweep(), 'right after its last use').toEqual({ builds: 0, uploads: 0 });
    await age();
    expect(await sweep()).toEqual({ builds: 0, uploads: 1 });
    expect(await storage.head(uploadKey(digest))).toBeUndefined();
  });

  test('is removed although hundreds that are in use are older', async () => {
    const service = await open();
    const { queue, handle, sweeper } = service;
    for (let n = 0; n < 120; n++) {
      const other = { ...source, digest: String(n).padStart(64, '0') };
      await queue.submit(makeSpec({ source: other, labels: { never: 'there' } }));
      await handle.client.zadd(`${handle.prefix}uploads`, Date.now() - 40 * day, other.digest);
    }
    await put(service, 31);
    expect(await sweeper({ uploadsMs: 30 * day })()).toEqual({ builds: 0, uploads: 1 });
  });

  test('is counted once for a submit that is sent again, and for an attempt that failed', async () => {
    const { queue, consume, handle, reaches } = await open();
    const spec = makeSpec({ source });
    await queue.submit(spec);
    await queue.submit(spec);
    const uses = () => handle.client.hgetall(`${handle.prefix}uses`);
    expect(await uses()).toEqual({ [digest]: '1' });
    consume({}, async (claim) =>
      claim.record.attempt < 2
        ? { kind: 'infrastructure', record: claim.record, reason: 'sandbox', message: 'broke' }
        : verdict(claim, 'passed'),
    );
    await reaches(spec.id, 'passed');
    expect(await uses()).toEqual({});
  });

  test('goes with the last build that could be repeated from it', async () => {
    const service = await open();
    await service.ended(idOf(100), 91, source);
    await put(service, 91);
    const keep = { buildsMs: 90 * day, uploadsMs: 365 * day };
    expect(await service.sweeper(keep)()).toEqual({ builds: 1, uploads: 1 });
  });

  test('is known again when Redis has lost everything', async () => {
    const service = await open();
    await service.storage.put(uploadKey(digest), Buffer.from('tar'));
    const sweep = service.sweeper({ uploadsMs: day });
    expect(await sweep()).toEqual({ builds: 0, uploads: 0 });
    expect(
      await service.handle.client.zrangebyscore(`${service.handle.prefix}uploads`, '-inf', '+inf'),
    ).toEqual([digest]);
  });

  test('cannot be asked for while it is being removed', async () => {
    const service = await open();
    await put(service, 31);
    const sweep = service.sweeper({ uploadsMs: 30 * day });
    vi.spyOn(service.storage, 'remove').mockRejectedValueOnce(new Error('killed'));
    await expect(sweep()).rejects.toThrow('killed');
    await expect(touchUpload(service.handle, digest)).rejects.toThrow('is being removed');
    expect(await sweep()).toEqual({ builds: 0, uploads: 0 });
    await touchUpload(service.handle, digest);
  });
});
