import { describe, expect, test } from 'vitest';
import type { BuildRecord, Status } from '../../../src/build.ts';
import type { Result } from '../../../src/queue/claim.ts';
import { useRedis } from '../../redis.ts';
import { aborted, openService, quick, until, verdict } from './service.ts';
import { makeSpec } from './specs.ts';

const redis = useRedis();
const open = async (options = {}) => openService(await redis.connect(), options);

describe('a build', () => {
  test.for<Status>(['passed', 'failed', 'errored', 'canceled', 'timed_out'])(
    'ends as its worker says: %s',
    async (status) => {
      const { queue, consume, reaches } = await open();
      consume({}, async (claim) => verdict(claim, status));
      const { record } = await queue.submit(makeSpec());
      expect(record).toMatchObject({ status: 'queued', attempt: 0 });
      expect(await reaches(record.id, status)).toMatchObject({
        attempt: 1,
        attempts: [{ attempt: 1, worker: 'worker', status }],
        storage: { prefix: `builds/${record.id}/attempts/1/` },
      });
    },
  );

  test('waits for a worker with its labels', async () => {
    const { queue, consume, reaches } = await open();
    const takers: string[] = [];
    const handler = (id: string) => async (claim: Parameters<typeof verdict>[0]) => {
      takers.push(id);
      return verdict(claim);
    };
    const spec = makeSpec({ labels: { arch: 'arm64' } });
    await queue.submit(spec);
    consume({ id: 'plain' }, handler('plain'));
    await until(async () => (await queue.stats()).workers.length === 1);
    expect(await queue.why(spec.id)).toBe('No worker with the labels arch=arm64 is there.');
    consume({ id: 'arm', labels: { arch: 'arm64', gpu: 'no' } }, handler('arm'));
    await reaches(spec.id, 'passed');
    expect(takers).toEqual(['arm']);
  });

  test('does not start before its time', async () => {
    const { queue, consume, reaches } = await open();
    consume({}, async (claim) => verdict(claim));
    const notBefore = new Date(Date.now() + 400).toISOString();
    const spec = makeSpec({ notBefore });
    await queue.submit(spec);
    expect(await queue.why(spec.id)).toBe(`It is not to start before ${notBefore}.`);
    const { startedAt = '' } = await reaches(spec.id, 'passed');
    expect(Date.parse(startedAt)).toBeGreaterThanOrEqual(Date.parse(notBefore));
  });

  test('is one build however often it is submitted with one key', async () => {
    const { queue } = await open();
    const submissions = await Promise.all([1, 2, 3].map(() => queue.submit(makeSpec(), 'push-1')));
    expect(submissions.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(submissions.map(({ record }) => record.id)).size).toBe(1);
    const other = await queue.submit(makeSpec({ requestedBy: '01M0000000000000000000XTHR' }), 'push-1');
    expect(other.created).toBe(true);
  });

  test('can be asked for again when it has ended', async () => {
    const { queue, consume, reaches, get } = await open();
    const spec = makeSpec({ environment: { WHAT: 'it' }, notBefore: new Date().toISOString() });
    await queue.submit(spec);
    await expect(queue.retry(spec.id, 'somebody')).rejects.toMatchObject({ kind: 'active' });
    consume({}, async (claim) => verdict(claim, 'failed'));
    await reaches(spec.id, 'failed');
    const again = await queue.retry(spec.id, 'somebody');
    expect(again).toMatchObject({ status: 'queued', retryOf: spec.id });
    const { notBefore: _, ...same } = spec;
    expect((await get(again.id)).spec).toEqual({
      ...same,
      id: again.id,
      requestedBy: 'somebody',
      retryOf: spec.id,
    });
    await expect(queue.retry(makeSpec().id, 'somebody')).rejects.toMatchObject({ kind: 'unknown' });
  });

  test('of a branch is asked for again with its commit, also when it was canceled before its second attempt', async () => {
    const { queue, consume, reaches, get } = await open();
    const sha = 'c'.repeat(40);
    consume({}, async ({ record }) => {
      const found = { ...record, source: { ...record.source, sha } };
      return { kind: 'requeue', record: found, reason: 'it asks for other labels', labels: { no: 'worker' } };
    });
    const source = {
      kind: 'git',
      url: 'https://example.org/app.git',
      repo: 'app',
      ref: 'refs/heads/main',
    } as const;
    const spec = makeSpec({ source });
    await queue.submit(spec);
    await until(async () => (await get(spec.id)).record.source.sha === sha);
    await queue.cancel(spec.id);
    expect((await reaches(spec.id, 'canceled')).source).toEqual({ repo: 'app', ref: 'main', sha });
    const again = await queue.retry(spec.id, 'somebody');
    expect((await get(again.id)).spec.source).toEqual({ ...source, sha });
  });
});

describe('cancel', () => {
  test('ends a build that waits, and says so when it comes too late or from nowhere', async () => {
    const { queue, reaches } = await open();
    const spec = makeSpec();
    await queue.submit(spec);
    const answers = await Promise.all(Array.from({ length: 50 }, () => queue.cancel(spec.id)));
    expect(answers.filter((answer) => answer === 'canceled')).toHaveLength(1);
    expect(new Set(answers)).toEqual(new Set(['canceled', 'finished']));
    expect(await reaches(spec.id, 'canceled')).toMatchObject({ reason: 'canceled', attempts: [] });
    expect(await queue.cancel(makeSpec().id)).toBe('unknown');
  });

  test('reaches the worker of a running build at once', async () => {
    const { queue, consume, reaches } = await open();
    let told = 0;
    consume({}, async (claim) => {
      await aborted(claim.canceled);
      told = performance.now();
      return verdict(claim, 'canceled', { reason: 'canceled' });
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    const asked = performance.now();
    expect(await queue.cancel(spec.id)).toBe('canceling');
    expect(await reaches(spec.id, 'canceled')).toMatchObject({ attempt: 1, reason: 'canceled' });
    // Not only with the next heartbeat.
    expect(told - asked).toBeLessThan(100);
  });

  test('of a build that was given back instead ends it too', async () => {
    const { queue, consume, reaches } = await open();
    consume({}, async (claim) => {
      await aborted(claim.canceled);
      return { kind: 'requeue', reason: 'draining' };
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await queue.cancel(spec.id);
    expect(await reaches(spec.id, 'canceled')).toMatchObject({ attempt: 1 });
  });

  test('does not change a verdict that was there first', async () => {
    const { queue, consume, reaches } = await open();
    consume({}, async (claim) => {
      await aborted(claim.canceled);
      return verdict(claim);
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await queue.cancel(spec.id);
    expect((await reaches(spec.id, 'passed')).reason).toBeUndefined();
  });
});

describe('when the platform fails', () => {
  test('a build is tried again, on another worker, and shows each try', async () => {
    const { queue, consume, reaches } = await open();
    const takers: string[] = [];
    for (const id of ['bad', 'good']) {
      consume({ id }, async (claim) => {
        takers.push(id);
        if (id === 'good') return verdict(claim);
        return { kind: 'infrastructure', record: claim.record, reason: 'sandbox', message: 'no loop device' };
      });
    }
    const specs = Array.from({ length: 6 }, () => makeSpec());
    await Promise.all(specs.map((spec) => queue.submit(spec)));
    for (const { id } of specs) {
      const { attempts = [] } = await reaches(id, 'passed');
      expect(attempts.length).toBeLessThanOrEqual(2);
      if (attempts.length === 2) {
        expect(attempts[0]).toMatchObject({
          worker: 'bad',
          status: 'errored',
          reason: 'sandbox',
          message: 'no loop device',
        });
        expect(attempts[1]).toMatchObject({ worker: 'good', status: 'passed' });
      }
    }
    expect(takers).toContain('bad');
  });

  test('a worker that is alone gets it again, and the third failure is the last', async () => {
    const { queue, consume, reaches } = await open();
    consume({}, async (claim) => {
      const message = `failure ${claim.fence.attempt}`;
      return { kind: 'infrastructure', record: claim.record, reason: 'internal', message };
    });
    const spec = makeSpec();
    await queue.submit(spec);
    expect(await reaches(spec.id, 'errored')).toMatchObject({
      reason: 'internal',
      message: 'failure 3',
      attempt: 3,
      attempts: [1, 2, 3].map((attempt) => ({ attempt, status: 'errored', message: `failure ${attempt}` })),
    });
  });

  test.for([1, 2, 4])('a workflow may have %i tries in all', async (mostTries) => {
    const { queue, consume, reaches } = await open();
    consume({}, async ({ record }) => {
      return { kind: 'infrastructure', record, reason: 'sandbox', message: 'no loop device', mostTries };
    });
    const spec = makeSpec();
    await queue.submit(spec);
    const { attempt, reason, finishedAt } = await reaches(spec.id, 'errored');
    expect({ attempt, reason, ended: finishedAt !== undefined }).toEqual({
      attempt: mostTries,
      reason: 'sandbox',
      ended: true,
    });
  });

  test.for<(record: BuildRecord) => Result>([
    (record) => ({ kind: 'infrastructure', record, reason: 'sandbox', message: 'no loop device' }),
    (record) => ({ kind: 'requeue', record, reason: 'it asks for other labels', labels: {} }),
    (record) => ({ kind: 'aside', record, reason: 'it waits for its turn' }),
  ])('a build of a branch keeps the commit that it had: %#', async (givenBack) => {
    const { queue, consume, reaches } = await open();
    const sha = 'c'.repeat(40);
    const seen: (string | undefined)[] = [];
    consume({}, async (claim) => {
      seen.push(claim.record.source.sha);
      if (claim.fence.attempt === 3) return verdict(claim);
      return givenBack({ ...claim.record, source: { ...claim.record.source, sha } });
    });
    const url = 'https://example.org/app.git';
    const spec = makeSpec({ source: { kind: 'git', url, repo: 'app', ref: 'refs/heads/main' } });
    await queue.submit(spec);
    await reaches(spec.id, 'passed');
    expect(seen).toEqual([undefined, sha, sha]);
  });

  test('a handler that throws is such a failure', async () => {
    const { queue, consume, reaches } = await open();
    consume({}, async (claim) => {
      if (claim.fence.attempt === 1) throw new Error('unexpected');
      return verdict(claim);
    });
    const spec = makeSpec();
    await queue.submit(spec);
    const { attempts } = await reaches(spec.id, 'passed');
    expect(attempts).toMatchObject([
      { status: 'errored', reason: 'internal', message: 'unexpected' },
      { status: 'passed' },
    ]);
  });

  test('the time until the next try is said', async () => {
    const { queue, consume, reaches } = await open({
      timing: { ...quick, backoffMs: [60_000] },
    });
    consume({}, async (claim) => ({
      kind: 'infrastructure',
      record: claim.record,
      reason: 'sandbox',
      message: 'broken',
    }));
    const spec = makeSpec();
    await queue.submit(spec);
    await until(async () => (await reaches(spec.id, 'queued')).attempt === 1);
    expect(await queue.why(spec.id)).toMatch(/^The platform failed it once; it is tried again at 20.*Z\.$/);
  });
});

describe('a worker', () => {
  test('runs as many builds as it has slots', async () => {
    const { queue, consume } = await open();
    const stop = new AbortController();
    let most = 0;
    let now = 0;
    const consumer = consume({ slots: 3 }, async (claim) => {
      most = Math.max(most, ++now);
      await aborted(stop.signal);
      now--;
      return verdict(claim);
    });
    const specs = Array.from({ length: 8 }, () => makeSpec());
    await Promise.all(specs.map((spec) => queue.submit(spec)));
    await until(() => now === 3);
    expect(await queue.why(specs[4]?.id ?? '')).toBe(
      'It is number 2 of 5 in its project; all 3 slots of 1 worker are busy.',
    );
    await consumer.setSlots(5);
    await until(() => now === 5);
    stop.abort();
    await until(async () => (await queue.stats()).running === 0);
    expect(most).toBe(5);
  });

  test('that is drained gives its builds back, and nothing is held against them', async () => {
    const { queue, consume, reaches } = await open();
    const draining = new AbortController();
    const old = consume({ id: 'old' }, async () => {
      await aborted(draining.signal);
      return { kind: 'requeue', reason: 'the worker is being stopped' };
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await old.pause();
    await queue.submit(makeSpec());
    draining.abort();
    await old.drained();
    expect(await reaches(spec.id, 'queued')).toMatchObject({ attempt: 1 });
    await old.close();
    expect((await queue.stats()).workers).toEqual([]);
    consume({ id: 'new' }, async (claim) => verdict(claim));
    const { attempts } = await reaches(spec.id, 'passed');
    expect(attempts).toMatchObject([
      { worker: 'old', message: 'the worker is being stopped' },
      { worker: 'new' },
    ]);
  });

  test('that closes loses what it runs', async () => {
    const { queue, consume, reaches } = await open();
    const old = consume({ id: 'old' }, async (claim) => {
      await aborted(claim.lost);
      return verdict(claim);
    });
    const spec = makeSpec();
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await old.close();
    consume({ id: 'new' }, async (claim) => verdict(claim, 'failed'));
    expect(await reaches(spec.id, 'failed')).toMatchObject({ attempt: 2 });
  });
});

test('statistics count what there is', async () => {
  const { queue, consume } = await open({ caps: { project: 1, group: 1 } });
  const stop = new AbortController();
  const info = { id: 'w', host: 'there', version: '2', labels: { disk: 'fast' }, slots: 2 };
  consume(info, async (claim) => {
    await aborted(stop.signal);
    return verdict(claim);
  });
  const specs = [
    makeSpec({ project: 'a' }),
    makeSpec({ project: 'a' }),
    makeSpec({ project: 'a', group: 'g' }),
    makeSpec({ project: 'a', group: 'g' }),
    makeSpec({ project: 'b', labels: { gpu: 'yes' } }),
    makeSpec({ project: 'b', notBefore: '2999-01-01T00:00:00Z' }),
  ];
  for (const spec of specs) await queue.submit(spec);
  const stats = await until(async () => [await queue.stats()].find(({ running }) => running === 1));
  expect(stats).toMatchObject({ delayed: 1, waiting: 4, ready: 0, running: 1 });
  expect(Date.parse(stats.oldestWaitingSince ?? '')).toBeLessThanOrEqual(Date.now());
  expect(stats.lanes).toHaveLength(2);
  expect(stats.lanes).toContainEqual({ labels: {}, waiting: 3, projects: 1 });
  expect(stats.lanes).toContainEqual({ labels: { gpu: 'yes' }, waiting: 1, projects: 1 });
  expect(stats.projects).toEqual([
    { name: 'a', waiting: 3, active: 1 },
    { name: 'b', waiting: 1, active: 0 },
  ]);
  expect(stats.workers).toEqual([{ ...info, running: 1 }]);
  expect(await queue.why(specs[1]?.id ?? '')).toBe('Its project a runs 1 of at most 1 build at a time.');
  stop.abort();
});
