import { describe, expect, test } from 'vitest';
import { groupOf, inWords } from '../../../src/queue/turn.ts';
import { attemptPrefix } from '../../../src/records/stored.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import { useRedis } from '../../redis.ts';
import { type Actor, openActors, wants } from './actors.ts';
import { openService, until, verdict } from './service.ts';
import { makeSpec } from './specs.ts';

const redis = useRedis();
const never = new AbortController().signal;

const open = async (handle?: RedisHandle, slots?: number) =>
  openActors(handle ?? (await redis.connect()), slots);

const other = { OTHERS: 'yes' };

describe('builds that can begin nothing without a turn', () => {
  test('give their slots to others, say what they wait for, and come in the order in which they were made', async () => {
    const { submit, actor, aside, get, reaches } = await open();
    const first = await submit({ WANTS: 'ship deploy' });
    const holder = await actor(first);
    const second = await submit({ WANTS: 'ship deploy' });
    expect(await aside(second)).toBe(
      `It waits for its turn in 'deploy': build ${first} has it (at most 1 at a time).`,
    );
    const third = await submit({ WANTS: 'ship deploy' });
    await aside(third);
    expect((await get(second)).record).toMatchObject({ status: 'queued', attempts: [] });
    holder.end();
    const next = await actor(second);
    expect(await aside(third)).toContain(`build ${second} has it`);
    next.end();
    (await actor(third)).end();
    const record = await reaches(third, 'passed');
    expect(record.attempts).toHaveLength(1);
    expect(record.storage).toEqual({ prefix: attemptPrefix(third, record.attempt) });
  });

  test('take a slot again as soon as a workflow leaves the group, before its build has ended', async () => {
    const { submit, actor, aside } = await open();
    const holder = await actor(await submit({ WANTS: 'ship deploy', ...other }));
    const waiting = await submit({ WANTS: 'ship deploy' });
    await aside(waiting);
    holder.turns.leave('ship');
    await actor(waiting);
    holder.end();
  });

  test('can be canceled while they wait', async () => {
    const { submit, actor, aside, queue, reaches } = await open();
    const holder = await actor(await submit({ WANTS: 'ship deploy' }));
    const [canceled, last] = [await submit({ WANTS: 'ship deploy' }), await submit({ WANTS: 'ship deploy' })];
    await aside(canceled);
    await aside(last);
    expect(await queue.cancel(canceled)).toBe('canceled');
    await reaches(canceled, 'canceled');
    holder.end();
    await actor(last);
  });

  test('lose their place to those who have slots, when they get none for long', async () => {
    const handle = await redis.connect();
    const { submit, actor, aside, queue } = await open(handle, 2);
    const holder = await actor(await submit({ WANTS: 'ship deploy' }));
    const patient = await submit({ WANTS: 'ship deploy' });
    await aside(patient);
    // Both slots are taken by builds that wait for the one that has none.
    const running = await actor(await submit({ WANTS: 'ship deploy 1 after', ...other }));
    const turn = running.take('ship');
    await until(() => running.told.length > 0);
    await submit({ ...other }, { priority: 9 });
    holder.end();
    await until(async () => (await queue.why(patient))?.includes('number'));
    expect(await handle.client.zadd(`${handle.prefix}called`, 'XX', 'CH', 1, patient)).toBe(1);
    await turn;
    running.end();
    await actor(patient);
  });

  test('are looked at again when nobody calls them', async () => {
    const handle = await redis.connect();
    const { submit, actor, aside } = await open(handle);
    const first = await submit({ WANTS: 'ship deploy' });
    await actor(first);
    const second = await submit({ WANTS: 'ship deploy' });
    await aside(second);
    const due = async () => Number(await handle.client.zscore(`${handle.prefix}delayed`, second));
    const before = await due();
    await handle.client.zadd(`${handle.prefix}delayed`, 'XX', 1, second);
    await until(async () => (await due()) >= before);
    // Whoever had it is gone without a word.
    const [group = ''] = await handle.client.keys(`${handle.prefix}th:*`);
    await handle.client.del(group);
    await handle.client.zadd(`${handle.prefix}delayed`, 'XX', 1, second);
    await actor(second);
  });
});

describe('workflows that wait while others of their builds run', () => {
  test('take turns in the order of their builds, not in that in which they ask', async () => {
    const { submit, actor } = await open();
    const [early, late] = [
      await actor(await submit({ WANTS: 'ship deploy 1 after', ...other })),
      await actor(await submit({ WANTS: 'ship deploy 1 after', ...other })),
    ];
    const turn = late.take('ship');
    await until(() => late.told.length > 0);
    expect(late.told).toEqual([
      `ship: its turn in 'deploy': build ${early.claim.spec.id} comes first (at most 1 at a time)`,
    ]);
    await early.take('ship');
    early.turns.leave('ship');
    await turn;
    expect(late.told).toHaveLength(1);
    for (const each of [early, late]) each.end();
  });

  test('do not wait for a workflow that was skipped, nor for a build that has ended', async () => {
    const { submit, actor } = await open();
    const actors = [1, 2, 3].map(async () => actor(await submit({ WANTS: 'ship deploy 1 after', ...other })));
    const all = await Promise.all(actors);
    const [skipping, ending, last] = all.sort((a, b) => (a.claim.spec.id < b.claim.spec.id ? -1 : 1));
    if (!skipping || !ending || !last) throw new Error('three builds');
    const turn = last.take('ship');
    await until(() => last.told.length > 0);
    skipping.turns.leave('ship');
    ending.end();
    await turn;
    for (const each of all) each.end();
  });

  test('let as many run as the limit says, whatever the builds', async () => {
    const { submit, actor } = await open();
    const actors: Actor[] = [];
    for (let i = 0; i < 5; i++) {
      actors.push(await actor(await submit({ WANTS: 'ship deploy 3 after', ...other })));
    }
    const had: number[] = [];
    for (const [i, each] of actors.entries()) void each.take('ship').then(() => had.push(i));
    await until(() => had.length === 3 && actors.filter(({ told }) => told.length > 0).length === 2);
    expect(had.toSorted((a, b) => a - b)).toEqual([0, 1, 2]);
    actors[1]?.turns.leave('ship');
    await until(() => had.length === 4);
    expect(had[3]).toBe(3);
    for (const each of actors) each.end();
  });

  test('run with those of the same build that they depend on in one group', async () => {
    const { submit, actor } = await open();
    const build = await actor(await submit({ WANTS: 'a deploy 1, b deploy 1 after' }));
    await build.take('a');
    const second = await submit({ WANTS: 'a deploy 1, b deploy 1 after', ...other });
    const behind = await actor(second);
    const turn = behind.take('a');
    await until(() => behind.told.length > 0);
    build.turns.leave('a');
    await build.take('b');
    build.turns.leave('b');
    await turn;
    for (const each of [build, behind]) each.end();
  });

  test('of a matrix take turns with each other', async () => {
    const { submit, actor } = await open();
    const build = await actor(await submit({ WANTS: 'm1 m, m2 m, m3 m' }));
    await build.take('m1');
    const others = ['m2', 'm3'].map((name) => build.take(name).then(() => name));
    await until(() => build.told.length === 2);
    expect(build.told[0]).toBe(
      "m2: its turn in 'm': another workflow of this build has it (at most 1 at a time)",
    );
    build.turns.leave('m1');
    const next = await Promise.race(others);
    build.turns.leave(next);
    await Promise.all(others);
    build.end();
  });

  test('wait until it is known what earlier builds want', async () => {
    const handle = await redis.connect();
    const service = openService(handle);
    const going = Promise.withResolvers<void>();
    const seen: string[] = [];
    service.consume({ slots: 3 }, async (claim) => {
      const { name = '' } = claim.spec.environment;
      seen.push(`${name} claimed`);
      if (name !== 'late') await going.promise;
      const wanted = wants('ship deploy 1 after');
      const announced = await claim.announce({ wanted, others: 'begin' }, never);
      if (announced.kind === 'aside') return { kind: 'aside', reason: '', record: claim.record };
      await announced.turns.take('ship', never, (blocker) => seen.push(`${name} ${inWords(blocker)}`));
      seen.push(`${name} ships`);
      return verdict(claim);
    });
    // Strangers' builds hold up nobody but strangers.
    await service.queue.submit(makeSpec({ environment: { name: 'stranger' }, trust: 'untrusted' }));
    const early = makeSpec({ environment: { name: 'early' } });
    await service.queue.submit(early);
    await until(() => seen.length === 2);
    const late = makeSpec({ environment: { name: 'late' } });
    await service.queue.submit(late);
    const waits = `its turn in 'deploy': build ${early.id} comes first, if it wants it too (at most 1 at a time)`;
    await until(() => seen.includes(`late ${waits}`));
    going.resolve();
    await service.reaches(late.id, 'passed');
    expect(seen.filter((word) => /^(early|late) ships$/.test(word))).toEqual(['early ships', 'late ships']);
  });
});

describe('groups', () => {
  test.for<[string, Partial<BuildSpec>, Partial<BuildSpec>]>([
    ['of two projects', { project: 'a' }, { project: 'b' }],
    ['of trusted builds and of strangers', { trust: 'untrusted' }, { trust: 'trusted' }],
  ])('%s have nothing to do with each other', async ([, one, another]) => {
    const { submit, actor } = await open();
    const builds = [
      await submit({ WANTS: 'ship deploy' }, one),
      await submit({ WANTS: 'ship deploy' }, another),
    ];
    for (const id of builds) await actor(id);
  });

  test('are shared by workflows of other names, each by its own limit', async () => {
    const { submit, actor, aside } = await open();
    const actors = [
      await actor(await submit({ WANTS: 'ship deploy 2' })),
      await actor(await submit({ WANTS: 'publish deploy 2' })),
    ];
    const strict = await submit({ WANTS: 'other deploy 1' });
    await aside(strict);
    actors[0]?.end();
    expect(await aside(strict)).toContain('has it');
    actors[1]?.end();
    await actor(strict);
  });

  test.for([
    ['workflow ci', 'trusted', { group: 'workflow ci', name: 'ci' }],
    ['group ci', 'trusted', { group: 'group ci', name: 'ci' }],
    ['group ci', 'untrusted', { group: 'untrusted group ci', name: 'ci' }],
    [`group a\n\u001b[1m${'b'.repeat(200)}`, 'trusted', { name: `a [1m${'b'.repeat(95)}…` }],
  ] as const)('%s of %s builds is told from others, and shown in short', ([group, trust, expected]) => {
    expect(groupOf(group, trust)).toMatchObject(expected);
  });
});

test('nothing is left of turns when builds have ended, and a stale attempt changes nothing', async () => {
  const { submit, actor, aside, reaches, connection } = await open();
  const first = await actor(await submit({ WANTS: 'ship deploy, test test' }));
  const second = await submit({ WANTS: 'ship deploy' });
  await aside(second);
  first.end();
  (await actor(second)).end();
  await reaches(second, 'passed');
  first.turns.leave('ship');
  const keys = await connection.client.keys(`${connection.prefix}*`);
  expect(keys.filter((key) => /:(tl|th|called)\b/.test(key))).toEqual([]);
});
