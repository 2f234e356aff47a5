import { describe, expect, onTestFinished, test } from 'vitest';
import type { Blocker, Turns } from '../../src/queue/turn.ts';
import type { BuildPlan, Plan } from '../../src/workflow/plan.ts';
import { announcementOf, localTurns } from '../../workers/turns.ts';
import { useRedis } from '../redis.ts';
import { openService, verdict } from '../src/queue/service.ts';
import { makeSpec } from '../src/queue/specs.ts';
import { step, workflow } from './rehearsal.ts';

const redis = useRedis();
const never = new AbortController().signal;

function planned(concurrency: Readonly<Record<string, Plan['concurrency']>>): BuildPlan {
  const [first, ...others] = Object.entries(concurrency).map(([name, its]) =>
    // None is the first of its build: each asks when it likes.
    workflow(name, [step('a')], { dependsOn: ['before'], ...(its && { concurrency: its }) }),
  );
  if (!first) throw new TypeError('a build has a workflow');
  return { workflows: [first, ...others] };
}

async function queued(plan: BuildPlan): Promise<Turns> {
  const { queue, consume } = openService(await redis.connect());
  const turns = Promise.withResolvers<Turns>();
  const over = Promise.withResolvers<void>();
  onTestFinished(() => over.resolve());
  consume({}, async (claim) => {
    const announced = await claim.announce(announcementOf(plan, 'trusted'), claim.lost);
    if (announced.kind === 'turns') turns.resolve(announced.turns);
    await over.promise;
    return verdict(claim);
  });
  await queue.submit(makeSpec());
  return await turns.promise;
}

describe.each([
  ['in one process', async (plan: BuildPlan) => localTurns(plan)],
  ['of the queue', queued],
])('turns %s', (_, open) => {
  /** What a workflow that asks waits for. Throws when it has its turn. */
  const waits = (turns: Turns, name: string, signal = never) => {
    const told = Promise.withResolvers<Blocker>();
    const turn = turns.take(name, signal, told.resolve);
    const had = turn.then(() => Promise.reject(new Error(`${name} has its turn`)));
    return { turn, told: Promise.race([told.promise, had]) };
  };
  const take = (turns: Turns, name: string) =>
    turns.take(name, never, (blocker) => expect.fail(`${name} waits: ${JSON.stringify(blocker)}`));

  test('are had at once by workflows that need none, and in groups of which few run', async () => {
    const turns = await open(
      planned({ free: undefined, a: { group: 'group x', limit: 1 }, b: { group: 'group y', limit: 1 } }),
    );
    for (const name of ['free', 'a', 'b']) await take(turns, name);
  });

  test('are as many as the limit; the next one is given when one is given back', async () => {
    const group = { group: 'group deploy', limit: 2 };
    const turns = await open(planned({ a: group, b: group, c: group }));
    await take(turns, 'a');
    await take(turns, 'b');
    const c = waits(turns, 'c');
    expect(await c.told).toEqual({ how: 'own', group: 'deploy', limit: 2 });
    turns.leave('b');
    turns.leave('b');
    await c.turn;
  });

  test('go by the limit of whoever asks', async () => {
    const turns = await open(
      planned({
        a: { group: 'group x', limit: 1 },
        b: { group: 'group x', limit: 2 },
        c: { group: 'group x', limit: 1 },
      }),
    );
    await take(turns, 'a');
    await take(turns, 'b');
    const c = waits(turns, 'c');
    await c.told;
    turns.leave('a');
    turns.leave('b');
    await c.turn;
  });

  test('are not waited for by a workflow that will not run, nor by one that is stopped', async () => {
    const group = { group: 'workflow ci', limit: 1 };
    const turns = await open(planned({ a: group, b: group, c: group }));
    turns.leave('b');
    await take(turns, 'a');
    const stopping = new AbortController();
    const c = waits(turns, 'c', stopping.signal);
    expect(await c.told).toMatchObject({ group: 'ci' });
    const stopped = expect(c.turn).rejects.toThrow('enough');
    stopping.abort(new Error('enough'));
    await stopped;
    await expect(turns.take('c', stopping.signal, () => {})).rejects.toThrow('enough');
    turns.leave('c');
    turns.leave('a');
  });
});
