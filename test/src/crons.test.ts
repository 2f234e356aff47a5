import { Queue as BullQueue } from 'bullmq';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Crons, CronRefusedError, openCrons } from '../../src/crons.ts';
import { mostCronJobs, parseCronJob } from '../../src/crons/job.ts';
import { nextRuns } from '../../src/crons/schedule.ts';
import { newRepository } from '../../src/repositories/change.ts';
import type { Queue } from '../../src/queue.ts';
import { startRedis, useRedis } from '../redis.ts';
import { startService, type TestService } from './api/service.ts';

const redis = useRedis();
const services: TestService[] = [];
let service: TestService;
let bull: BullQueue;
let opened: Crons[];

beforeEach(async () => {
  service = await startService(await redis.connect());
  services.push(service);
  const connection = service.redis.duplicate('test');
  bull = new BullQueue('crons', { connection, prefix: `${service.redis.prefix}bull` });
  opened = [];
  const repository = newRepository({
    name: 'Acme/app',
    forge: 'github',
    url: 'https://github.com/acme/app.git',
  });
  await service.repositories.add(repository, { webhookSecrets: ['a secret of a webhook'] });
});
afterEach(async () => {
  for (const crons of opened) await crons.close();
  await bull.close();
});
afterAll(async () => {
  for (const each of services) await each.stop();
});

/** A process that makes builds. */
function start(queue: Pick<Queue, 'submit'> = service.queue): {
  readonly crons: Crons;
  readonly troubles: unknown[];
} {
  const troubles: unknown[] = [];
  const { redis: handle, repositories } = service;
  const crons = openCrons({ redis: handle, repositories, queue, onTrouble: (error) => troubles.push(error) });
  opened.push(crons);
  crons.start();
  return { crons, troubles };
}

const put = (schedule: string, name = 'nightly') =>
  service.crons.put('acme/app', parseCronJob(name, { schedule }));

/** What BullMQ does when a run is due. */
const wake = (at: Date, name = 'nightly') =>
  bull.add('cron', {}, { jobId: `repeat:acme/app/${name}:${at.getTime()}`, removeOnComplete: true });

async function until(condition: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; !(await condition()); tries++) {
    if (tries === 1000) throw new Error('it did not come to that');
    await sleep(10);
  }
}
const allTaken = () =>
  until(async () => {
    const { wait, active, prioritized } = await bull.getJobCounts('wait', 'active', 'prioritized');
    return wait === 0 && active === 0 && prioritized === 0;
  });
const builds = async () => (await service.records.list({}, { limit: 100 })).builds;

const minute = 60_000;
const ago = (ms: number) => new Date(Math.floor((Date.now() - ms) / minute) * minute);
/** Once a day, at that time. */
const dailyAt = (at: Date) => `${at.getUTCMinutes()} ${at.getUTCHours()} * * *`;

describe('a run', () => {
  test('makes a trusted build of what the branch has when a worker looks', async () => {
    const at = ago(20 * minute);
    await put(dailyAt(at));
    start();
    await wake(at);
    await until(async () => (await builds()).length > 0);
    const [build] = await builds();
    expect(build).toMatchObject({ project: 'Acme/app', trust: 'trusted', number: 1 });
    expect((await service.records.get(build?.id ?? ''))?.spec).toMatchObject({
      source: { kind: 'git', repository: 'Acme/app', ref: 'refs/heads/main' },
      trigger: { kind: 'cron', name: 'nightly', branch: 'main', at: at.toISOString() },
      requestedBy: 'cron:Acme/app/nightly',
    });
    expect(build?.source).not.toHaveProperty('sha');
  });

  test('makes one build, whoever is told of it, however often', async () => {
    const at = ago(20 * minute);
    await put(dailyAt(at));
    start();
    start();
    for (let times = 0; times < 5; times++) await wake(new Date(at.getTime() + times));
    await allTaken();
    // As when the process that had it died: it is there again, and the repository may be another by then.
    await service.repositories.change('acme/app', (repository) => ({
      repository: { ...repository, defaults: { priority: 9 } },
    }));
    for (let times = 5; times < 10; times++) await wake(new Date(at.getTime() + times));
    await allTaken();
    expect(await bull.getFailedCount()).toBe(0);
    expect((await builds()).map(({ trigger }) => trigger.at)).toEqual([at.toISOString()]);
  });

  test('is told by BullMQ as it is understood here', async () => {
    await put('* * * * *');
    // Schedules have no seconds; BullMQ has.
    await bull.upsertJobScheduler(
      'acme/app/nightly',
      { every: 100 },
      { name: 'cron', opts: { removeOnComplete: true } },
    );
    start();
    const told = async () => (await bull.getJobScheduler('acme/app/nightly'))?.iterationCount ?? 0;
    await until(async () => (await told()) > 5);
    await bull.removeJobScheduler('acme/app/nightly');
    await allTaken();
    const minutes = (await builds()).map(({ trigger }) => trigger.at);
    expect(minutes.length).toBeGreaterThan(0);
    expect(new Set(minutes).size).toBe(minutes.length);
  });

  test.for([
    ['50 minutes ago is made up for', 50, 1],
    ['70 minutes ago is not', 70, 0],
  ] as const)('that was due %s', async ([, minutes, expected]) => {
    const at = ago(minutes * minute);
    await put(dailyAt(at));
    start();
    await wake(at);
    await allTaken();
    expect(await builds()).toHaveLength(expected);
  });

  test('that is the last one of many missed is the only one that is made up for', async () => {
    const last = ago(20 * minute);
    await put(`${last.getUTCMinutes()} * * * *`);
    start();
    await wake(new Date(last.getTime() - 5 * 60 * minute));
    await allTaken();
    expect((await builds()).map(({ trigger }) => trigger.at)).toEqual([last.toISOString()]);
  });

  test('told by a clock that is ahead is not taken for the one before', async () => {
    const at = new Date(ago(0).getTime() + 2 * minute);
    await put(dailyAt(at));
    start();
    // BullMQ waits for that very millisecond, and would not take it twice.
    await wake(new Date(at.getTime() + 1));
    await allTaken();
    expect((await builds()).map(({ trigger }) => trigger.at)).toEqual([at.toISOString()]);
  });

  test.for([
    ['was removed', () => service.crons.remove({ repository: 'acme/app', name: 'nightly' })],
    ['has another schedule by now', () => put(dailyAt(ago(12 * 60 * minute)))],
    ['has no repository any more', () => service.repositories.remove('acme/app')],
  ] as const)('of a cron job that %s makes none', async ([, change]) => {
    const at = ago(20 * minute);
    await put(dailyAt(at));
    await change();
    start();
    await wake(at);
    await allTaken();
    expect(await builds()).toEqual([]);
  });

  test('that fails is tried again', async () => {
    const at = ago(20 * minute);
    await put(dailyAt(at));
    let failures = 0;
    const { troubles } = start({
      submit: async (...args) => {
        if (failures++ === 0) throw new Error('the disk is full');
        return await service.queue.submit(...args);
      },
    });
    const { opts } = (await bull.getJobScheduler('acme/app/nightly'))?.template ?? {};
    await bull.add('cron', {}, { ...opts, jobId: `repeat:acme/app/nightly:${at.getTime()}` });
    await until(async () => (await builds()).length > 0);
    expect(troubles).toEqual([new Error('the disk is full')]);
  });

  test('is made on demand, each time, by who asks', async () => {
    await put('0 3 * * *');
    const place = { repository: 'acme/app', name: 'nightly' };
    await service.crons.run(place, { id: 'token-1', name: 'ci' });
    const record = await service.crons.run(place, { id: 'token-1', name: 'ci' });
    expect(record).toMatchObject({
      number: 2,
      trigger: { kind: 'cron', name: 'nightly', branch: 'main', actor: 'ci' },
    });
    expect((await service.records.get(record.id))?.spec.requestedBy).toBe('token-1');
    const unknown = service.crons.run({ ...place, name: 'weekly' }, { id: 'token-1', name: 'ci' });
    await expect(unknown).rejects.toThrow(CronRefusedError);
  });
});

describe('the schedulers of BullMQ', () => {
  const scheduled = async () =>
    new Map((await bull.getJobSchedulers(0, -1)).map(({ key, next }) => [key, next] as const));
  const nextOf = (schedule: string) => nextRuns({ schedule, timezone: 'UTC' }, new Date(), 1)[0]?.getTime();

  test('are those of the cron jobs, each with its next run', async () => {
    await put('0 3 * * *');
    await put('0 4 1 1 *', 'yearly');
    await put('0 5 2 2 *');
    expect(await scheduled()).toEqual(
      new Map([
        ['acme/app/nightly', nextOf('0 5 2 2 *')],
        ['acme/app/yearly', nextOf('0 4 1 1 *')],
      ]),
    );
    expect(await bull.getDelayedCount()).toBe(2);
    await service.crons.remove({ repository: 'ACME/app', name: 'nightly' });
    expect([...(await scheduled()).keys()]).toEqual(['acme/app/yearly']);
    expect(await bull.getDelayedCount()).toBe(1);
  });

  test('come back when they are lost, and go when nobody wants them', async () => {
    await put('0 4 1 1 *', 'yearly');
    await bull.obliterate({ force: true });
    await bull.upsertJobScheduler('acme/gone/nightly', { pattern: '0 3 * * *' });
    await bull.upsertJobScheduler('acme/app/nightly', { pattern: '0 3 * * *' });
    await service.crons.reconcile();
    expect(await scheduled()).toEqual(new Map([['acme/app/yearly', nextOf('0 4 1 1 *')]]));
    expect(await bull.getDelayedCount()).toBe(1);
  });

  test('have the schedule of the day, as after a crash between the two', async () => {
    await put('0 4 1 1 *');
    await bull.upsertJobScheduler('acme/app/nightly', { pattern: '0 3 * * *', tz: 'UTC' });
    await service.crons.reconcile();
    expect((await scheduled()).get('acme/app/nightly')).toBe(nextOf('0 4 1 1 *'));
  });

  test('that are right keep the run that is due', async () => {
    await put('0 4 1 1 *');
    const before = await bull.getDelayed();
    await sleep(2);
    await service.crons.reconcile();
    const after = await bull.getDelayed();
    expect(after.map(({ timestamp }) => timestamp)).toEqual(before.map(({ timestamp }) => timestamp));
  });

  test('go on when BullMQ has lost their next run', async () => {
    await put('0 4 1 1 *');
    const [job] = await bull.getDelayed();
    await service.redis.client.zrem(bull.toKey('delayed'), job?.id ?? '');
    await service.redis.client.del(bull.toKey(job?.id ?? ''));
    await service.redis.client.zadd(bull.toKey('repeat'), Date.now() - 2 * minute, 'acme/app/nightly');
    await service.crons.reconcile();
    expect((await scheduled()).get('acme/app/nightly')).toBe(nextOf('0 4 1 1 *'));
    expect(await bull.getDelayedCount()).toBe(1);
  });
});

test('a repository has so many cron jobs and no more', async () => {
  const jobs = Array.from({ length: mostCronJobs }, (_, n) =>
    parseCronJob(`job-${n}`, { schedule: '0 3 * * *' }),
  );
  await service.repositories.change('acme/app', (old) => ({ repository: { ...old, crons: jobs } }));
  await put('0 4 * * *', 'job-7');
  await expect(put('0 4 * * *', 'one-more')).rejects.toThrow(/as many as there may be/);
});

test('a process ends although Redis is away', async () => {
  await using stack = new AsyncDisposableStack();
  const own = stack.adopt(await startRedis(), (each) => each.stop());
  const { repositories, queue } = service;
  const crons = openCrons({ redis: await own.connect(), repositories, queue, onTrouble: () => {} });
  crons.start();
  await crons.reconcile();
  await own.kill();
  // Until BullMQ tries to connect again.
  await sleep(500);
  await crons.close();
});
