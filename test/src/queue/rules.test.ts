import { describe, expect, test } from 'vitest';
import { requestOf } from '../../../src/queue/request.ts';
import { whyWaiting } from '../../../src/queue/why.ts';
import { parseOwn } from '../../../src/records/json.ts';
import { useRedis } from '../../redis.ts';
import type { ModelWorker } from './model.ts';
import { createRandom, type Random } from './random.ts';
import { createSimulation, type Simulation } from './simulation.ts';
import { makeSpec } from './specs.ts';

const redis = useRedis();
const caps = { project: 4, group: 1 };

const labelSets = [{}, {}, { arch: 'arm64' }, { arch: 'arm64', gpu: 'yes' }] as const;
let sessions = 0;

/** Few times, so that some are the same; and all of them past, as nothing happens after it is told. */
const randomTime = (random: Random) => new Date(1_700_000_000_000 + random.below(50) * 1000).toISOString();

function newWorker(random: Random): ModelWorker {
  const labels = random.pick(labelSets) ?? {};
  const id = `worker-${random.below(4)}`;
  const workerClass = `class-${Object.keys(labels).length}`;
  return {
    id,
    session: `${id}#${sessions++}`,
    labels,
    class: workerClass,
    slots: 1 + random.below(3),
    alive: true,
  };
}

/** One random thing that a build with `concurrency` can do; what a worker would do, and more. */
async function turnStep(simulation: Simulation, random: Random): Promise<void> {
  const { model } = simulation;
  const build = random.pick(
    model.all(({ at, session }) => at === 'running' && model.workers.get(session)?.alive === true),
  );
  if (!build) return;
  const turns = [...build.turns];
  const [workflow, turn] = random.pick(turns) ?? [];
  if (!workflow || !turn || random.chance(0.1)) {
    // One that has its turn runs: nothing is planned anew.
    if (turns.some(([, { state }]) => state === 'has')) return;
    const wanted = Array.from({ length: 1 + random.below(3) }, () => ({
      group: `group ${random.below(2)}`,
      limit: 1 + random.below(2),
      first: random.chance(0.7),
    }));
    await simulation.announce(build, wanted);
  } else if (turns.every(([, { state }]) => state === 'waits') && random.chance(0.4)) {
    await simulation.standAside(build);
  } else if (turn.state === 'waits' && random.chance(0.8)) {
    await simulation.takeTurn(build, workflow, turn);
  } else {
    await simulation.leaveTurn(build, workflow);
  }
}

/** One random thing that users, workers, BullMQ or fate can do. */
async function step(simulation: Simulation, random: Random): Promise<void> {
  const { model, mail, delivered, fences } = simulation;
  const workers = [...model.workers.values()];
  const living = workers.filter(({ alive }) => alive);
  const running = model.all(
    ({ at, session }) => at === 'running' && model.workers.get(session)?.alive === true,
  );
  if (random.chance(0.3)) return turnStep(simulation, random);
  const dice = random.below(100);
  if (dice < 26) {
    const grouped = random.chance(0.3);
    const superseding = random.chance(0.3);
    await simulation.submit(
      makeSpec({
        project: `project-${random.below(5)}`,
        priority: random.below(10),
        labels: random.chance(0.3) ? (random.pick(labelSets) ?? {}) : {},
        ...(grouped && { group: `group-${random.below(2)}` }),
        ...(superseding && { supersedeKey: `branch-${random.below(2)}` }),
        ...(random.chance(0.8) && { trigger: { kind: 'manual', at: randomTime(random) } }),
        ...(random.chance(0.15) && { hold: 'approval' }),
      }),
    );
  } else if (dice < 34) {
    if (living.length < 5) await simulation.register(newWorker(random));
  } else if (dice < 36) {
    const worker = random.pick(living);
    if (worker) await simulation.register(Object.assign(worker, { slots: random.below(4) }));
  } else if (dice < 39) {
    const worker = random.pick(living);
    if (worker) worker.alive = false;
  } else if (dice < 43) {
    const dead = workers.find(({ alive }) => !alive);
    if (dead) await simulation.bury(dead);
  } else if (dice < 65) {
    const handed = mail.splice(random.below(mail.length), 1)[0];
    const taker = handed && random.pick(living.filter((worker) => worker.class === handed.class));
    // Without a taker it is lost.
    if (taker && !random.chance(0.05)) await simulation.deliver(handed, taker);
    if (handed) delivered.push(handed);
  } else if (dice < 69) {
    const again = random.pick(delivered.filter(({ id }) => model.builds.get(id)?.at !== 'ended'));
    const taker = random.pick(living);
    if (again && taker) await simulation.deliver(again, taker);
  } else if (dice < 81) {
    const build = random.pick(running);
    if (build) await simulation.finish({ ...build, id: build.spec.id }, build.cancel ? 'canceled' : 'passed');
  } else if (dice < 87) {
    const build = random.pick(running);
    const failed = random.chance(0.6);
    const labels = !failed && random.chance(0.5) ? random.pick(labelSets) : undefined;
    if (build) await simulation.giveBack(build, failed ? 'infrastructure' : 'requeue', labels);
  } else if (dice < 91) {
    const stale = fences.filter(({ id, attempt }) => {
      const build = model.builds.get(id);
      return build?.at === 'running' && build.attempt !== attempt;
    });
    const fence = random.pick(stale) ?? random.pick(fences);
    if (fence && model.workers.get(fence.session)?.alive !== true) await simulation.finish(fence, 'failed');
  } else if (dice < 94) {
    const build = random.pick(random.chance(0.5) ? running : [...model.builds.values()]);
    if (build) await simulation.cancel(build);
  } else if (dice < 95) {
    const build = random.pick(model.all(({ at }) => at === 'held'));
    if (build) await simulation.approve(build);
  } else if (dice < 97) {
    const worker = random.pick(living);
    if (worker) await simulation.beat(worker);
  } else {
    for (const handed of await simulation.tick()) {
      if (!mail.some(({ id, n }) => id === handed.id && n === handed.n)) await simulation.handAgain(handed);
    }
  }
}

function checkRules({ model }: Simulation): void {
  for (const each of model.all(({ at }) => at === 'aside')) {
    expect(model.mustStandAside(each), `${each.spec.id}, which stands aside, waits for a turn`).toBe(true);
  }
  for (const each of model.all(model.active)) {
    const same = model.all((other) => model.active(other) && other.spec.project === each.spec.project);
    expect(same.length, 'builds of a project').toBeLessThanOrEqual(model.capOf(each.spec.project));
    if (each.spec.group === undefined) continue;
    const group = same.filter((other) => other.spec.group === each.spec.group);
    expect(group.length, 'builds of a group').toBeLessThanOrEqual(caps.group);
  }
  for (const worker of model.workers.values()) {
    const own = model.all(({ at, session }) => at === 'running' && session === worker.session);
    // Slots may have been taken away under running builds.
    if (own.length > worker.slots) expect(model.free(worker)).toBe(0);
  }
  for (const each of model.all(({ at }) => at === 'waiting')) {
    if (model.capped(each)) continue;
    expect(model.roomFor(each), `free slots for ${each.spec.id}, which waits`).toBe(0);
  }
}

/** What `why` says has to be what holds the build. */
async function checkWhy({ model, call }: Simulation, random: Random): Promise<void> {
  const each = random.pick(model.all(({ at }) => at !== 'ended'));
  if (!each) return;
  const reason = whyWaiting(parseOwn(await call('explain', each.spec.id)), caps.group);
  if (each.at === 'running') return expect(reason).toBeUndefined();
  if (each.at === 'held') return expect(reason).toContain(`cofferdam approve ${each.spec.id}`);
  if (each.at === 'aside') return expect(reason).toContain('It waits for its turn in');
  if (each.at === 'ready') return expect(reason).toContain('handed');
  const fitting = [...model.workers.values()].filter((worker) => model.offers(worker, each.spec));
  if (fitting.length === 0) return expect(reason).toMatch(/^No worker .*is there\.$/);
  if (fitting.every(({ slots }) => slots === 0)) return expect(reason).toContain('take no builds');
  const cap = model.capped(each);
  return expect(reason).toContain(cap ? `Its ${cap} ${each.spec[cap]} runs` : 'It is number');
}

/** Nothing of builds that have ended is left where builds wait or run. */
async function checkNothingLeft(simulation: Simulation, prefix: string, keys: string[]): Promise<void> {
  const kinds = new Set(keys.map((key) => key.slice(prefix.length).split(':')[0]));
  const expected = [
    'epoch',
    'numbers',
    'caps',
    'b',
    'i',
    'unarchived',
    'vtime',
    'admitted',
    'beats',
    'workers',
    'classes',
    'slots',
    'served',
  ];
  expect([...kinds].filter((kind) => !expected.includes(kind ?? ''))).toEqual([]);
  expect(simulation.model.all(({ ends }) => ends !== 1)).toEqual([]);
}

describe('whatever users, workers, BullMQ and fate do', () => {
  test.for([1, 2, 3, 4])('the queue keeps its rules, seed %i', async (seed) => {
    const random = createRandom(seed);
    const handle = await redis.connect();
    const simulation = createSimulation(handle, caps);
    await simulation.capProject('project-0', 1);
    await simulation.capProject('project-1', 6);
    for (let i = 0; i < 600; i++) {
      await step(simulation, random);
      await simulation.called();
      checkRules(simulation);
      await checkWhy(simulation, random);
    }

    // Everything heals: the dead are buried, workers of every kind come, BullMQ delivers.
    const { model, mail } = simulation;
    for (const worker of model.workers.values()) {
      if (!worker.alive) await simulation.bury(worker);
    }
    for (const labels of [{}, { arch: 'arm64', gpu: 'yes' }]) {
      const session = `healthy-${Object.keys(labels).length}#${sessions++}`;
      const id = session.split('#')[0] ?? '';
      const workerClass = `class-${Object.keys(labels).length}`;
      await simulation.register({ id, session, labels, class: workerClass, slots: 3, alive: true });
    }
    for (const each of model.all(({ at }) => at === 'held')) await simulation.approve(each);
    for (let round = 0; model.all(({ at }) => at !== 'ended').length > 0; round++) {
      expect(round, 'rounds until all builds have ended').toBeLessThan(2000);
      mail.length = 0;
      for (const handed of await simulation.tick()) await simulation.handAgain(handed);
      for (const handed of mail.splice(0)) {
        const takers = [...model.workers.values()].filter((worker) => worker.class === handed.class);
        const taker = random.pick(takers.filter((worker) => model.free(worker) > 0));
        if (taker) await simulation.deliver(handed, taker);
      }
      for (const each of model.all(({ at }) => at === 'running')) {
        await simulation.finish({ ...each, id: each.spec.id }, 'passed');
      }
      await simulation.called();
      checkRules(simulation);
    }
    await checkNothingLeft(simulation, handle.prefix, await handle.client.keys(`${handle.prefix}*`));
    for (const { id, attempt, session } of simulation.fences) {
      expect(await simulation.finish({ id, attempt, session }, 'failed')).toBe(
        model.builds.get(id)?.session === session && model.builds.get(id)?.attempt === attempt,
      );
    }
  });
});

test('a worker that beat in the meantime is not buried', async () => {
  const handle = await redis.connect();
  const simulation = createSimulation(handle, caps);
  const worker = { id: 'w', session: 'w#1', labels: {}, class: '-', slots: 1, alive: true };
  await simulation.register(worker);
  const beat = (await handle.client.hget(`${handle.prefix}beats`, worker.session)) ?? '';
  await simulation.beat(worker);
  expect(await simulation.call('bury', worker.session, '', beat, 2)).toEqual(['alive', []]);
  await simulation.submit(makeSpec());
  expect(simulation.mail).toHaveLength(1);
});

test('a command that Redis gets twice does what it does once', async () => {
  const handle = await redis.connect();
  const { call, model, mail, ...simulation } = createSimulation(handle, caps);
  const spec = makeSpec();
  await simulation.submit(spec);
  await simulation.submit(spec);
  const worker = { id: 'w', session: 'w#1', labels: {}, class: '-', slots: 2, alive: true };
  await simulation.register(worker);
  await simulation.register(worker);
  expect(mail).toHaveLength(1);
  const [handed] = mail;
  if (!handed) throw new Error('nothing was admitted');
  const claim = () => call('claim', spec.id, handed.n, worker.session, '2026-01-01T00:00:00Z');
  expect(await claim()).toEqual(await claim());
  await call('submit', ...requestOf(spec, handle.prefix));
  const finish = () =>
    call('finish', spec.id, 1, worker.session, '2026-01-01T00:00:01Z', 'passed', '', '', '{}');
  expect([await finish(), await finish()]).toEqual([
    ['ok', []],
    ['ok', []],
  ]);
  expect(model.builds.size).toBe(1);
});

test("a build that is given back for its labels goes to a worker that has them; a worker's `*` is any value", async () => {
  const { submit, register, deliver, giveBack, mail, model } = createSimulation(await redis.connect(), caps);
  const worker = (id: string, labels: ModelWorker['labels']): ModelWorker => ({
    id,
    session: `${id}#1`,
    labels,
    class: id,
    slots: 1,
    alive: true,
  });
  const [plain, special] = [worker('plain', {}), worker('special', { gpu: '*', os: 'linux' })];
  const spec = makeSpec();
  await submit(spec);
  await register(plain);
  for (const handed of mail.splice(0)) await deliver(handed, plain);
  const build = model.builds.get(spec.id);
  if (!build) throw new Error('there is no such build');
  await giveBack(build, 'requeue', { gpu: 'a100', os: 'linux' });
  expect(mail).toEqual([]);
  await register(special);
  expect(mail).toMatchObject([{ id: spec.id, class: 'special' }]);
});

test('a build is kept away from the worker that failed it, while another one could take it', async () => {
  const { submit, register, deliver, giveBack, mail, model } = createSimulation(await redis.connect(), caps);
  const worker = (id: string): ModelWorker => ({
    id,
    session: `${id}#1`,
    labels: {},
    class: '-',
    slots: 1,
    alive: true,
  });
  const [bad, busy] = [worker('bad'), worker('busy')];
  await submit(makeSpec());
  await register(busy);
  for (const handed of mail.splice(0)) await deliver(handed, busy);
  const spec = makeSpec();
  await submit(spec);
  await register(bad);
  for (const handed of mail.splice(0)) await deliver(handed, bad);
  const build = model.builds.get(spec.id);
  if (!build) throw new Error('there is no such build');
  await giveBack(build, 'infrastructure');
  // `bad` has a free slot, `busy` has none.
  expect(mail).toEqual([]);
  await submit(makeSpec());
  expect(mail.map(({ id }) => id)).not.toContain(spec.id);
  expect(mail).toHaveLength(1);
});

test('a build whose worker dies is tried once more, however often the platform failed it before', async () => {
  const handle = await redis.connect();
  const { submit, register, deliver, giveBack, bury, mail, model } = createSimulation(handle, caps);
  const spec = makeSpec();
  await submit(spec);
  const build = model.builds.get(spec.id);
  if (!build) throw new Error('there is no such build');
  const worker = async (id: string): Promise<ModelWorker> => {
    const one = { id, session: `${id}#1`, labels: {}, class: '-', slots: 1, alive: true };
    await register(one);
    for (const handed of mail.splice(0)) await deliver(handed, one);
    return one;
  };
  const status = () => handle.client.hget(`${handle.prefix}b:${spec.id}`, 'status');
  const unlucky = await worker('unlucky');
  await giveBack(build, 'infrastructure');
  for (const handed of mail.splice(0)) await deliver(handed, unlucky);
  await giveBack(build, 'infrastructure');
  for (const handed of mail.splice(0)) await deliver(handed, unlucky);
  await bury(unlucky);
  expect(await status()).toBe('queued');
  await bury(await worker('another'));
  expect(await status()).toBe('errored');
});
