import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { createCall, QueueStateLostError } from '../../../src/queue/scripts.ts';
import { startRedis, useRedis } from '../../redis.ts';
import { aborted, openService, quick, until, verdict } from './service.ts';
import { makeSpec } from './specs.ts';
import { workerScript } from './worker-process.ts';

const redis = useRedis();

/** A service and worker processes of it. */
async function openWithProcesses() {
  const handle = await redis.connect();
  const service = openService(handle);
  const said: string[] = [];
  return {
    ...service,
    said,
    spawn: async (id: string): Promise<ChildProcess> => {
      const args = [workerScript, redis.url(), handle.prefix.slice(1, -2), `file:${service.directory}`, id];
      const child = start({ file: process.execPath, args }, { stdio: ['ignore', 'pipe', 'inherit'] });
      onTestFinished(() => void child.kill('SIGKILL'));
      child.stdout?.setEncoding('utf8').on('data', (text: string) => {
        for (const line of text.trim().split('\n')) said.push(`${id}: ${line}`);
      });
      await until(() => said.includes(`${id}: ready`));
      return child;
    },
  };
}

describe('a worker process', () => {
  test('that is killed loses its build to another one', async () => {
    const { queue, spawn, said, reaches } = await openWithProcesses();
    const spec = makeSpec({ environment: { RUN_MS: '1000' } });
    const doomed = await spawn('doomed');
    await queue.submit(spec);
    await until(() => said.includes(`doomed: claimed ${spec.id} 1`));
    doomed.kill('SIGKILL');
    await spawn('heir');
    const record = await reaches(spec.id, 'passed');
    expect(record.attempts).toMatchObject([
      { attempt: 1, worker: 'doomed', status: 'errored', reason: 'worker-lost' },
      { attempt: 2, worker: 'heir', status: 'passed' },
    ]);
    expect((await queue.stats()).workers).toMatchObject([{ id: 'heir', running: 0 }]);
  });

  test('that is killed while its build has a turn leaves it to the build that waits', async () => {
    const { queue, spawn, said, reaches } = await openWithProcesses();
    const [holder, waiting] = ['60000', '0'].map((RUN_MS) =>
      makeSpec({ environment: { RUN_MS, TURN: 'deploy' } }),
    );
    if (!holder || !waiting) throw new Error('two builds');
    const doomed = await spawn('doomed');
    await queue.submit(holder);
    await until(() => said.includes(`doomed: turn ${holder.id}`));
    await spawn('heir');
    await queue.submit(waiting);
    await until(() => said.includes(`heir: waits ${waiting.id}`));
    doomed.kill('SIGKILL');
    expect(await reaches(waiting.id, 'passed')).toMatchObject({ attempt: 1, message: 'by heir' });
    // Its own build takes its turn anew.
    await until(() => said.includes(`heir: turn ${holder.id}`));
  });

  test('that is stopped for longer than its lock can write nothing afterwards, and knows it', async () => {
    const { queue, spawn, said, reaches, get } = await openWithProcesses();
    const spec = makeSpec({ environment: { RUN_MS: '1500' } });
    const stopped = await spawn('stopped');
    await queue.submit(spec);
    await until(() => said.includes(`stopped: claimed ${spec.id} 1`));
    stopped.kill('SIGSTOP');
    await spawn('other');
    await until(() => said.includes(`other: claimed ${spec.id} 2`));
    stopped.kill('SIGCONT');
    await until(() => said.includes(`stopped: lost ${spec.id} 1 stale`));
    expect((await get(spec.id)).record.message).toBeUndefined();
    expect(await reaches(spec.id, 'passed')).toMatchObject({ attempt: 2, message: 'by other' });
    // It registers anew, and is as good as before.
    await until(async () => (await queue.stats()).workers.length === 2);
  });

  test('that dies of a build, twice, has died of it for the last time', async () => {
    const { queue, spawn, said, reaches, get } = await openWithProcesses();
    const spec = makeSpec({ environment: { RUN_MS: '60000' } });
    await queue.submit(spec);
    for (const attempt of [1, 2]) {
      const victim = await spawn(`victim-${attempt}`);
      await until(() => said.includes(`victim-${attempt}: claimed ${spec.id} ${attempt}`));
      victim.kill('SIGKILL');
    }
    const record = await reaches(spec.id, 'errored');
    expect(record).toMatchObject({ attempt: 2, reason: 'worker-lost' });
    expect(record.message).toBe('worker victim-2 died or lost its connection while it ran the build');
    // What its last attempt wrote until then is archived by somebody else.
    const { prefix } = await until(async () => (await get(spec.id)).record.storage);
    expect(prefix).toBe(`builds/${spec.id}/attempts/2/`);
  });
});

describe('without Redis', () => {
  test('a worker drops its builds before anybody else may take them', async () => {
    const server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
    onTestFinished(() => server.stop());
    const { queue, consume, reaches } = openService(await server.connect());
    const lost: number[] = [];
    let down = 0;
    consume({}, async (claim) => {
      if (claim.fence.attempt > 1) return verdict(claim);
      await aborted(claim.lost);
      lost.push(performance.now() - down);
      return verdict(claim, 'failed');
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await server.kill();
    down = performance.now();
    await until(() => lost.length === 1);
    // Counted from the last heartbeat that was answered, which is up to beatMs older than the kill.
    expect(lost[0]).toBeGreaterThan(quick.giveUpMs - quick.beatMs - 100);
    expect(lost[0]).toBeLessThan(quick.lockMs);
    await server.restart();
    const record = await reaches(spec.id, 'passed');
    expect(record.attempts?.[0]).toMatchObject({ message: 'the worker let go of it' });
    expect(record.attempts).toHaveLength(2);
  });

  test('builds go on when it comes back soon, and verdicts of the meantime count', async () => {
    const server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
    onTestFinished(() => server.stop());
    const { queue, consume, reaches } = openService(await server.connect(), {
      timing: { ...quick, giveUpMs: 20_000, lockMs: 30_000 },
    });
    const stop = new AbortController();
    consume({ slots: 3 }, async (claim) => {
      await aborted(stop.signal);
      return verdict(claim);
    });
    const specs = Array.from({ length: 8 }, () => makeSpec());
    await Promise.all(specs.map((spec) => queue.submit(spec)));
    await until(async () => (await queue.stats()).running === 3);
    await server.kill();
    stop.abort();
    // Longer than a single command is waited for.
    await sleep(3_300);
    await server.restart();
    for (const { id } of specs) expect(await reaches(id, 'passed')).toMatchObject({ attempt: 1 });
  });

  test('a handler that does not stop is not waited for', async () => {
    const server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
    onTestFinished(() => server.stop());
    const { queue, consume, reaches } = openService(await server.connect());
    const stop = new AbortController();
    consume({ id: 'stubborn', slots: 2 }, async (claim) => {
      if (claim.fence.attempt === 1) await aborted(stop.signal);
      return verdict(claim, claim.fence.attempt === 1 ? 'failed' : 'passed');
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await server.kill();
    await sleep(quick.giveUpMs);
    await server.restart();
    expect(await reaches(spec.id, 'passed')).toMatchObject({ attempt: 2 });
    stop.abort();
  });
});

test('a build that is not its own any more is lost to a worker with the next heartbeat', async () => {
  const handle = await redis.connect();
  const { queue, consume, reaches } = openService(handle);
  let lost = 0;
  consume({}, async (claim) => {
    await aborted(claim.lost);
    lost = performance.now();
    return verdict(claim);
  });
  const spec = makeSpec();
  await queue.submit(spec);
  await reaches(spec.id, 'running');
  // As a Redis that was restored from an older copy would have it.
  await handle.client.hset(`${handle.prefix}b:${spec.id}`, 'attempt', '7');
  const changed = performance.now();
  await until(() => lost > 0);
  expect(lost - changed).toBeLessThan(quick.giveUpMs);
});

describe('what BullMQ loses', () => {
  test.for(['its jobs', 'its lists', 'everything'])('is handed over anew: %s', async (what) => {
    const handle = await redis.connect();
    const { queue, consume, reaches } = openService(handle);
    // Slots that nobody fills: what BullMQ is given stays there.
    const call = createCall(handle, { project: undefined, group: 1 });
    await call('register', 'ghost#1', JSON.stringify({ id: 'ghost' }), '-', '{}', 2);
    const specs = Array.from({ length: 4 }, () => makeSpec());
    await Promise.all(specs.map((spec) => queue.submit(spec)));
    await until(async () => (await handle.client.keys(`${handle.prefix}bull:builds:*.1`)).length === 2);
    const patterns = { 'its jobs': ['*.1'], 'its lists': ['wait', 'marker'], everything: ['*'] }[what] ?? [];
    for (const pattern of patterns) {
      const keys = await handle.client.keys(`${handle.prefix}bull:builds:${pattern}`);
      if (keys.length > 0) await handle.client.del(...keys);
    }
    consume({ slots: 2 }, async (claim) => verdict(claim));
    for (const { id } of specs) await reaches(id, 'passed');
  });
});

describe('FLUSHALL', () => {
  test('is told by every call, takes builds away from workers, and nobody makes up verdicts', async () => {
    const server = await startRedis();
    onTestFinished(() => server.stop());
    const handle = await server.connect();
    const { queue, records, consume, reaches, troubles } = openService(handle);
    let lost = false;
    consume({}, async (claim) => {
      await aborted(claim.lost);
      lost = true;
      return verdict(claim);
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await handle.client.flushall();
    await until(() => lost);
    await expect(queue.submit(makeSpec())).rejects.toThrow(QueueStateLostError);
    await expect(queue.cancel(spec.id)).rejects.toThrow(/gone or was replaced.*restart all processes/);
    await expect(queue.tick()).rejects.toThrow(QueueStateLostError);
    expect(troubles.some((error) => error instanceof QueueStateLostError)).toBe(true);
    expect(await records.get(spec.id)).toBeUndefined();
    expect(await handle.client.keys(`${handle.prefix}*:${spec.id}`)).toEqual([]);
  });
});
