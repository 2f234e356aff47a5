import { describe, expect, test } from 'vitest';
import type { Trigger } from '../../../src/trigger.ts';
import { useRedis } from '../../redis.ts';
import { aborted, openService, until, verdict } from './service.ts';
import { makeSpec } from './specs.ts';

const redis = useRedis();
const open = async () => {
  const handle = await redis.connect();
  return Object.assign(openService(handle), { handle });
};

/** A push to main; `second` is when, by the forge's clock. */
function push(second?: number, branch = 'main') {
  const at = second === undefined ? undefined : new Date(1_700_000_000_000 + second * 1000).toISOString();
  const trigger: Trigger = { kind: 'push', branch, ...(at !== undefined && { at }) };
  return makeSpec({ trigger, supersedeKey: `push ${branch}` });
}

describe('a newer build of the same key', () => {
  test('cancels the older ones: those that wait at once, those that run by their workers', async () => {
    const { queue, consume, reaches } = await open();
    const running = push(1);
    consume({}, async (claim) => {
      if (claim.spec.id !== running.id) return verdict(claim);
      await aborted(claim.canceled);
      return verdict(claim, 'canceled', { reason: 'canceled', message: 'stopped' });
    });
    await queue.submit(running);
    await reaches(running.id, 'running');
    const waiting = push(2);
    await queue.submit(waiting);
    const newest = push(3);
    const { record } = await queue.submit(newest);
    expect(record).toMatchObject({ status: 'queued', number: 3 });
    const canceled = { reason: 'canceled', message: `superseded by build ${waiting.id}` };
    expect(await reaches(running.id, 'canceled')).toMatchObject({ ...canceled, attempt: 1 });
    expect(await reaches(waiting.id, 'canceled')).toMatchObject({
      reason: 'canceled',
      message: `superseded by build ${newest.id}`,
      attempt: 0,
    });
    await reaches(newest.id, 'passed');
  });

  test('is the one whose event is newer, not the one that arrived last', async () => {
    const { queue, records, reaches, handle } = await open();
    const newer = push(20);
    await queue.submit(newer);
    const late = push(10);
    const answer = await queue.submit(late);
    expect(answer).toMatchObject({
      created: true,
      record: {
        status: 'canceled',
        reason: 'canceled',
        message: `superseded by build ${newer.id}`,
        number: 2,
      },
    });
    expect((await records.get(newer.id))?.status).toBe('queued');
    await until(async () => (await handle.client.hget(`${handle.prefix}b:${late.id}`, 'at')) === 'archived');
    expect(await reaches(late.id, 'canceled')).toEqual(answer.record);
  });

  test.for<[string, number | undefined, number | undefined]>([
    ['neither says when it happened', undefined, undefined],
    ['only the first says it', 20, undefined],
    ['only the second says it', undefined, 20],
    ['they happened in the same second', 20, 20],
    // 1_700_000_000 + 10^9 s is in the year 2055: a clock that is wrong, or somebody who lies.
    ['the first is of a time to come', 1_000_000_000, 20],
  ])('is the one that arrived last when %s', async ([, first, second]) => {
    const { queue, records } = await open();
    const [older, newer] = [push(first), push(second)];
    await queue.submit(older);
    if (first === 1_000_000_000) {
      // What really happened after that arrived.
      const trigger: Trigger = { kind: 'push', branch: 'main', at: new Date(Date.now() + 1).toISOString() };
      Object.assign(newer, { trigger });
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await queue.submit(newer);
    expect((await records.get(older.id))?.record.message).toBe(`superseded by build ${newer.id}`);
    expect((await records.get(newer.id))?.status).toBe('queued');
  });

  test('leaves other branches, other projects and builds without a key alone', async () => {
    const { queue, records } = await open();
    const others = [
      push(1, 'stable'),
      { ...push(1), project: 'another' },
      makeSpec({ trigger: { kind: 'tag', tag: 'v1' } }),
      makeSpec(),
    ];
    for (const spec of others) await queue.submit(spec);
    await queue.submit(push(2));
    for (const { id } of others) expect((await records.get(id))?.status).toBe('queued');
  });

  test('does not matter to one that has ended, nor to one that somebody asked for again', async () => {
    const { queue, consume, reaches, records } = await open();
    const consumer = consume({}, async (claim) => verdict(claim, 'failed'));
    const first = push(1);
    await queue.submit(first);
    await reaches(first.id, 'failed');
    await consumer.pause();
    const newer = push(2);
    await queue.submit(newer);
    expect((await records.get(first.id))?.record).toMatchObject({ status: 'failed' });
    const again = await queue.retry(first.id, 'somebody');
    expect(again).toMatchObject({ status: 'queued', number: 3 });
    expect((await records.get(newer.id))?.status).toBe('queued');
    await queue.submit(push(3));
    expect((await records.get(again.id))?.status).toBe('queued');
    expect((await records.get(newer.id))?.status).toBe('canceled');
  });

  test('does not change why somebody canceled the older one', async () => {
    const { queue, consume, reaches } = await open();
    consume({}, async (claim) => {
      if (claim.spec.id !== spec.id) return verdict(claim);
      await aborted(claim.canceled);
      await until(() => superseded);
      return verdict(claim, 'canceled', { reason: 'canceled', message: 'canceled by somebody' });
    });
    let superseded = false;
    const spec = push(1);
    await queue.submit(spec);
    await reaches(spec.id, 'running');
    await queue.cancel(spec.id);
    await queue.submit(push(2));
    superseded = true;
    expect((await reaches(spec.id, 'canceled')).message).toBe('canceled by somebody');
  });
});

test('of many pushes at once, in any order, the newest is left, whatever came before', async () => {
  const { queue, records, handle } = await open();
  const specs = Array.from({ length: 300 }, (_, i) => push((i * 7919) % 300));
  const answers = await Promise.all(specs.map((spec) => queue.submit(spec)));
  expect(new Set(answers.map(({ record }) => record.number)).size).toBe(300);
  const { builds } = await records.list({ status: 'queued' }, { limit: 100 });
  const newest = specs.find((_, i) => (i * 7919) % 300 === 299);
  expect(builds.map(({ id }) => id)).toEqual([newest?.id]);
  const [line = ''] = await handle.client.keys(`${handle.prefix}line:*`);
  // Whoever comes next looks at this one only, and at no history.
  expect(await handle.client.zcard(line)).toBe(1);
  await queue.cancel(newest?.id ?? '');
  expect(await handle.client.keys(`${handle.prefix}line:*`)).toEqual([]);
});
