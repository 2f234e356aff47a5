import { expect, onTestFinished, test } from 'vitest';
import type { Change } from '../../../src/records/changes.ts';
import { startRedis, useRedis } from '../../redis.ts';
import { aborted, openService, until, verdict } from '../queue/service.ts';
import { makeSpec } from '../queue/specs.ts';

const redis = useRedis();

test('a listener hears what happens to its build, and nothing of others', async () => {
  const { queue, records, consume, reaches } = openService(await redis.connect());
  const spec = makeSpec();
  const heard: Change[] = [];
  await queue.submit(spec);
  const stop = records.subscribe(spec.id, (change) => heard.push(change));
  await until(() => heard.length === 1);
  consume({}, async (claim) => {
    expect(await records.progress(claim.fence, claim.record)).toBe('ok');
    return verdict(claim, 'failed');
  });
  await queue.submit(makeSpec());
  await reaches(spec.id, 'failed');
  await until(() => heard.length === 4);
  stop();
  expect(heard).toEqual([
    { kind: 'record' },
    { kind: 'status', status: 'running' },
    { kind: 'record' },
    { kind: 'end', status: 'failed' },
  ]);
});

test('each listener is ended by its own function', async () => {
  const { queue, records } = openService(await redis.connect());
  const spec = makeSpec();
  await queue.submit(spec);
  const heard = { first: 0, second: 0 };
  const stops = [
    records.subscribe(spec.id, () => heard.first++),
    records.subscribe(spec.id, () => heard.second++),
  ];
  await until(() => heard.first === 1 && heard.second === 1);
  stops[0]?.();
  await queue.cancel(spec.id);
  await until(() => heard.second === 2);
  expect(heard.first).toBe(1);
});

test('after a lost connection listeners are told to look again', async () => {
  const server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'always']);
  onTestFinished(() => server.stop());
  const { queue, records } = openService(await server.connect());
  const spec = makeSpec();
  await queue.submit(spec);
  const heard: Change[] = [];
  records.subscribe(spec.id, (change) => heard.push(change));
  await until(() => heard.length === 1);
  await server.kill();
  await server.restart();
  await until(() => heard.length === 2);
  expect(heard[1]).toEqual({ kind: 'record' });
});

test('progress is written by the attempt that runs, and by nobody else', async () => {
  const { queue, records, consume, get, reaches } = openService(await redis.connect());
  const spec = makeSpec();
  const stop = new AbortController();
  consume({}, async (claim) => {
    await aborted(stop.signal);
    return verdict(claim);
  });
  await queue.submit(spec);
  const running = await reaches(spec.id, 'running');
  for (const fence of [
    { id: spec.id, attempt: 1, worker: 'worker#somebody-else' },
    { id: spec.id, attempt: 2, worker: 'worker' },
    { id: makeSpec().id, attempt: 1, worker: 'worker' },
  ]) {
    expect(await records.progress(fence, { ...running, message: 'false' })).toBe('stale');
  }
  expect((await get(spec.id)).record.message).toBeUndefined();
  stop.abort();
});
