import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Outcome } from '../../../src/build.ts';
import type { PublicBuild } from '../../../src/api/record.ts';
import type { Consumer } from '../../../src/queue/consumer.ts';
import { useRedis } from '../../redis.ts';
import { makeSpec } from '../queue/specs.ts';
import { startService, type TestService } from './service.ts';
import { startWorker, until } from './worker.ts';

const redis = useRedis();
let service: TestService;
let worker: Consumer | undefined;
beforeAll(async () => {
  service = await startService(await redis.connect());
});
afterAll(async () => {
  await worker?.close();
  await service.stop();
});

/** All samples, by name and labels as they are written. */
async function samples(): Promise<Map<string, number>> {
  const { body } = await service.app.inject({ url: '/metrics' });
  const lines = body.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ')))]),
  );
}

async function submit(change: object = {}): Promise<string> {
  const response = await service.app.inject({
    method: 'POST',
    url: '/v1/builds',
    headers: { authorization: service.bearer.submit },
    payload: {
      project: 'p',
      source: { kind: 'none' },
      workflow: 'image: a\nsteps: [{ name: s, commands: [x] }]',
      ...change,
    },
  });
  return response.json<PublicBuild>().id;
}

test('tell how the queue, the workers, the builds and the API are', async () => {
  const first = await submit();
  await submit({ labels: { arch: 'none' } });
  await submit({ notBefore: '2100-01-01T00:00:00Z' });
  await service.queue.submit(makeSpec({ hold: 'approval', report: 'commit-status' }));
  await new Promise((resolve) => setTimeout(resolve, 30));
  const idle = await samples();
  expect(idle.get('cofferdam_queue_builds{state="waiting"}')).toBe(2);
  expect(idle.get('cofferdam_queue_builds{state="delayed"}')).toBe(1);
  expect(idle.get('cofferdam_queue_builds{state="held"}')).toBe(1);
  expect(idle.get('cofferdam_commit_statuses_waiting')).toBe(1);
  expect(idle.get('cofferdam_commit_statuses_total{outcome="told"}')).toBe(0);
  expect(idle.get('cofferdam_queue_oldest_wait_seconds')).toBeGreaterThan(0.02);
  expect(idle.get('cofferdam_workers')).toBe(0);
  expect(idle.get('cofferdam_redis_up')).toBe(1);
  expect(idle.get('cofferdam_redis_ping_seconds')).toBeGreaterThan(0);

  const outcomes: Outcome[] = [{ status: 'passed' }, { status: 'failed', reason: 'oom' }];
  worker = startWorker(service, async ({ cache }) => {
    cache({ name: 'npm', restored: 'newest', restoredBytes: 10, savedBytes: 12 });
    cache({ name: 'pip', restored: 'none' });
    return outcomes.shift() ?? { status: 'passed' };
  });
  await until(async () => (await service.records.get(first))?.record.status === 'passed');
  await submit();
  await service.app.inject({ url: `/v1/builds/${first}`, headers: { authorization: service.bearer.read } });
  const busy = await until(async () => {
    const now = await samples();
    return now.get('cofferdam_builds_finished_total{status="failed",reason="oom"}') === 1 && now;
  });
  expect(busy.get('cofferdam_builds_finished_total{status="passed",reason=""}')).toBe(1);
  expect(busy.get('cofferdam_build_wait_seconds_count')).toBe(2);
  expect(busy.get('cofferdam_build_phase_seconds_count{phase="run"}')).toBe(2);
  expect(busy.get('cofferdam_caches_restored_total{match="newest"}')).toBe(2);
  expect(busy.get('cofferdam_caches_restored_total{match="none"}')).toBe(2);
  expect(busy.get('cofferdam_cache_bytes_total{direction="restored"}')).toBe(20);
  expect(busy.get('cofferdam_cache_bytes_total{direction="saved"}')).toBe(24);
  expect(busy.get('cofferdam_workers')).toBe(1);
  expect(busy.get('cofferdam_worker_slots{state="all"}')).toBe(4);
  expect(busy.get('cofferdam_worker_slots{state="busy"}')).toBe(0);
  expect(busy.get('cofferdam_queue_builds{state="waiting"}')).toBe(1);
  expect(
    busy.get('cofferdam_http_request_duration_seconds_count{method="POST",route="/v1/builds",status="202"}'),
  ).toBe(4);
  expect(
    busy.get(
      'cofferdam_http_request_duration_seconds_count{method="GET",route="/v1/builds/:id",status="200"}',
    ),
  ).toBe(1);
  expect([...busy.keys()].filter((name) => name.includes(first))).toEqual([]);
});
