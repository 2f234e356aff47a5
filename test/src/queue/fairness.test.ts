import { expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { createRandom } from './random.ts';
import { createSimulation } from './simulation.ts';
import { makeSpec } from './specs.ts';

const redis = useRedis();
const unlimited = { project: 0, group: 1 };

async function withOneSlot() {
  const simulation = createSimulation(await redis.connect(), { ...unlimited, project: 1_000_000 });
  const worker = { id: 'w', session: 'w#1', labels: {}, class: '-', slots: 1, alive: true };
  return {
    ...simulation,
    worker,
    /** Runs one build after another; returns them in the order in which they ran. */
    drain: async (most = Infinity): Promise<string[]> => {
      const order: string[] = [];
      while (order.length < most) {
        const handed = simulation.mail.shift();
        if (!handed) break;
        order.push(handed.id);
        await simulation.deliver(handed, worker);
        const { attempt } = simulation.model.builds.get(handed.id) ?? { attempt: 0 };
        await simulation.finish({ id: handed.id, attempt, session: worker.session }, 'passed');
      }
      return order;
    },
  };
}

test('projects take turns, however many builds one of them has', async () => {
  const { submit, register, worker, drain, model } = await withOneSlot();
  for (let i = 0; i < 20; i++) await submit(makeSpec({ project: 'busy' }));
  for (let i = 0; i < 3; i++) await submit(makeSpec({ project: 'calm' }));
  await register(worker);
  const order = (await drain()).map((id) => model.builds.get(id)?.spec.project);
  expect(order.slice(0, 8)).toEqual(['busy', 'calm', 'busy', 'calm', 'busy', 'calm', 'busy', 'busy']);
});

test.for([1, 2, 3])(
  'the first build of a new project runs within one round of the others, seed %i',
  async (seed) => {
    const random = createRandom(seed);
    const { submit, register, worker, drain, model } = await withOneSlot();
    const projects = 3 + random.below(20);
    await register(worker);
    for (let i = 0; i < 200; i++) await submit(makeSpec({ project: `old-${random.below(projects)}` }));
    await drain(random.below(100));
    const late = makeSpec({ project: 'new' });
    await submit(late);
    const waiting = new Set(model.all(({ at }) => at === 'waiting').map(({ spec }) => spec.project)).size;
    // One was admitted already when the new one came.
    expect((await drain()).indexOf(late.id)).toBeLessThanOrEqual(waiting + 1);
  },
);

test('a project that was away does not make up for it', async () => {
  const { submit, register, worker, drain, model } = await withOneSlot();
  await register(worker);
  for (let i = 0; i < 30; i++) await submit(makeSpec({ project: 'steady' }));
  await drain(20);
  for (let i = 0; i < 5; i++) await submit(makeSpec({ project: 'returning' }));
  const order = (await drain(6)).map((id) => model.builds.get(id)?.spec.project);
  expect(order.filter((project) => project === 'returning').length).toBeLessThanOrEqual(3);
});

test('a project that asks for one build at a time takes no more than its turns', async () => {
  const { submit, register, worker, drain, model } = await withOneSlot();
  await register(worker);
  for (let i = 0; i < 20; i++) await submit(makeSpec({ project: 'patient' }));
  for (let i = 0; i < 20; i++) {
    // Never more than one, and the next one as soon as that is on its way.
    const waits = model.all(({ spec, at }) => spec.project === 'pushy' && at === 'waiting').length > 0;
    if (!waits) await submit(makeSpec({ project: 'pushy' }));
    await drain(1);
  }
  expect(model.all(({ spec, at }) => spec.project === 'patient' && at === 'ended').length).toBeGreaterThan(8);
});

test('within a project the higher priority goes first, then the older build', async () => {
  const { submit, register, worker, drain } = await withOneSlot();
  const specs = [5, 1, 9, 5, 0, 9].map((priority) => makeSpec({ priority }));
  for (const spec of specs) await submit(spec);
  await register(worker);
  expect(await drain()).toEqual([2, 5, 0, 3, 1, 4].map((i) => specs[i]?.id));
});

test('a group lets its builds through in order, and holds up nobody else', async () => {
  const { submit, register, deliver, finish, mail, worker } = await withOneSlot();
  const deploys = [1, 2].map(() => makeSpec({ group: 'deploy' }));
  const other = makeSpec();
  for (const spec of [...deploys, other]) await submit(spec);
  await register({ ...worker, slots: 3 });
  const [first, second] = mail;
  expect(mail.map(({ id }) => id)).toEqual([deploys[0]?.id, other.id]);
  if (!first || !second) throw new Error('nothing was admitted');
  await deliver(first, worker);
  await finish({ id: first.id, attempt: 1, session: worker.session }, 'passed');
  expect(mail.at(-1)?.id).toBe(deploys[1]?.id);
});

test('groups of the same name in two projects have nothing to do with each other', async () => {
  const { submit, register, mail, worker } = await withOneSlot();
  for (const project of ['a', 'b']) await submit(makeSpec({ project, group: 'deploy' }));
  await register({ ...worker, slots: 2 });
  expect(mail).toHaveLength(2);
});
