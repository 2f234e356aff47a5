import { describe, expect, test } from 'vitest';
import { capProject } from '../../../src/queue/caps.ts';
import { useRedis } from '../../redis.ts';
import { aborted, openService, until, verdict } from './service.ts';
import { makeSpec } from './specs.ts';

const redis = useRedis();
const open = async () => {
  const handle = await redis.connect();
  return Object.assign(openService(handle), { handle });
};
const held = () => makeSpec({ hold: 'approval', trust: 'untrusted' });

describe('a build that is held', () => {
  test('takes no slot, and says what it waits for, until somebody approves it', async () => {
    const { queue, consume, reaches, get } = await open();
    consume({}, async (claim) => verdict(claim));
    const spec = held();
    const { record } = await queue.submit(spec);
    expect(record).toMatchObject({ status: 'queued', trust: 'untrusted' });
    const other = makeSpec();
    await queue.submit(other);
    await reaches(other.id, 'passed');
    expect(await queue.why(spec.id)).toBe(`It waits for approval: cofferdam approve ${spec.id}`);
    expect(await queue.stats()).toMatchObject({ held: 1, waiting: 0, delayed: 0, ready: 0, running: 0 });
    expect((await queue.stats()).oldestWaitingSince).toBeUndefined();

    await queue.approve(spec.id, 'alice');
    const passed = await reaches(spec.id, 'passed');
    expect(passed).toMatchObject({ trust: 'untrusted', approved: { by: 'alice' } });
    expect(Math.abs(Date.parse(passed.approved?.at ?? '') - Date.now())).toBeLessThan(10_000);
    await until(async () => (await queue.stats()).held === 0);
    expect((await get(spec.id)).record).toEqual(passed);
  });

  test('is approved once, by the first who does', async () => {
    const { queue, get } = await open();
    const spec = held();
    await queue.submit(spec);
    await queue.approve(spec.id, 'alice');
    await queue.approve(spec.id, 'bob');
    expect((await get(spec.id)).record.approved?.by).toBe('alice');
    expect((await queue.stats()).waiting).toBe(1);
  });

  test('does not start before its time, even when it is approved earlier', async () => {
    const { queue } = await open();
    const spec = { ...held(), notBefore: '2999-01-01T00:00:00.000Z' };
    await queue.submit(spec);
    await queue.approve(spec.id, 'alice');
    expect(await queue.why(spec.id)).toBe('It is not to start before 2999-01-01T00:00:00.000Z.');
  });

  test('can be canceled, and is held again when it is asked for again', async () => {
    const { queue, reaches } = await open();
    const spec = held();
    await queue.submit(spec);
    expect(await queue.cancel(spec.id)).toBe('canceled');
    await reaches(spec.id, 'canceled');
    expect((await queue.stats()).held).toBe(0);
    await expect(queue.approve(spec.id, 'alice')).rejects.toMatchObject({ kind: 'finished' });
    const again = await queue.retry(spec.id, 'somebody');
    expect(await queue.why(again.id)).toContain(`cofferdam approve ${again.id}`);
  });

  test('is superseded as others are', async () => {
    const { queue, get } = await open();
    const older = { ...held(), supersedeKey: 'pull request 1' };
    const newer = { ...held(), supersedeKey: 'pull request 1' };
    await queue.submit(older);
    await queue.submit(newer);
    expect((await get(older.id)).record).toMatchObject({
      status: 'canceled',
      message: `superseded by build ${newer.id}`,
    });
    expect((await queue.stats()).held).toBe(1);
  });

  test('is the only kind that can be approved', async () => {
    const { queue } = await open();
    const spec = makeSpec();
    await queue.submit(spec);
    await expect(queue.approve(spec.id, 'alice')).rejects.toMatchObject({ kind: 'unheld' });
    await expect(queue.approve(makeSpec().id, 'alice')).rejects.toMatchObject({ kind: 'unknown' });
  });
});

test('a project may have a cap of its own, until it is taken away', async () => {
  const { queue, consume, handle } = await open();
  const stop = new AbortController();
  consume({ slots: 8 }, async (claim) => {
    await aborted(stop.signal);
    return verdict(claim);
  });
  await capProject(handle, 'small', 2);
  const specs = ['small', 'small', 'small', 'large', 'large', 'large'].map((project) =>
    makeSpec({ project }),
  );
  for (const spec of specs) await queue.submit(spec);
  await until(async () => (await queue.stats()).running === 5);
  expect(await queue.why(specs[2]?.id ?? '')).toBe('Its project small runs 2 of at most 2 builds at a time.');
  await capProject(handle, 'small', undefined);
  await until(async () => (await queue.stats()).running === 6);
  stop.abort();
});

test('builds of a project are numbered in the order of acceptance, a repeated submit not twice', async () => {
  const { queue, consume, reaches, get } = await open();
  const numbers: (number | undefined)[] = [];
  consume({}, async (claim) => {
    numbers.push(claim.record.number);
    return verdict(claim);
  });
  const first = makeSpec({ project: 'a' });
  expect((await queue.submit(first, 'key')).record.number).toBe(1);
  expect((await queue.submit(makeSpec({ project: 'a' }), 'key')).record).toMatchObject({
    id: first.id,
    number: 1,
  });
  expect((await queue.submit(first)).record.number).toBe(1);
  expect((await queue.submit(makeSpec({ project: 'b' }))).record.number).toBe(1);
  await reaches(first.id, 'passed');
  const again = await queue.retry(first.id, 'somebody');
  expect(again).toMatchObject({ number: 2, retryOf: first.id });
  await reaches(again.id, 'passed');
  expect((await get(first.id)).record.number).toBe(1);
  expect(numbers.filter((number) => number === 1)).toHaveLength(2);
  expect(numbers).toContain(2);
});
