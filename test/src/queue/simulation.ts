import { capProject } from '../../../src/queue/caps.ts';
import type { Handed } from '../../../src/queue/dispatch.ts';
import { parseHanded } from '../../../src/queue/dispatch.ts';
import { canonicalLabels } from '../../../src/queue/place.ts';
import { requestOf } from '../../../src/queue/request.ts';
import type { Flat } from '../../../src/queue/replies.ts';
import { createCall } from '../../../src/queue/scripts.ts';
import { mostAttempts, mostDeaths } from '../../../src/queue/timing.ts';
import type { RedisHandle } from '../../../src/redis.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import { createModel, type ModelBuild, type ModelTurn, type ModelWorker } from './model.ts';

const now = '2026-01-01T00:00:00.000Z';
const limits = [mostAttempts, mostDeaths] as const;

/** The queue's scripts with workers and a BullMQ that this file plays, next to a model that says what they should do. */
export function createSimulation(
  redis: RedisHandle,
  caps: { readonly project: number; readonly group: number },
) {
  const call = createCall(redis, caps);
  const model = createModel(caps);
  /** What BullMQ has to deliver; nobody promises that it does, nor in which order, nor how often. */
  const mail: Handed[] = [];
  /** What it delivered or lost before. */
  const delivered: Handed[] = [];
  /** Every fence there ever was. */
  const fences: { id: string; attempt: number; session: string }[] = [];
  const admissions: string[] = [];

  const build = (id: string): ModelBuild => {
    const known = model.builds.get(id);
    if (!known) throw new Error(`the queue admitted ${id}, which nobody submitted`);
    return known;
  };
  const admit = (flat: Flat) => {
    for (const handed of parseHanded(flat)) {
      const each = build(handed.id);
      // A ready one was withdrawn from a class that shrank, and admitted to another in the same call.
      if (each.at === 'aside') comeForward(each);
      if (each.at !== 'waiting' && each.at !== 'ready')
        throw new Error(`admitted while ${each.at}: ${handed.id}`);
      each.at = 'ready';
      each.n = handed.n;
      each.class = handed.class;
      mail.push(handed);
      admissions.push(handed.id);
    }
  };
  const comeForward = (each: ModelBuild) => {
    if (model.mustStandAside(each)) throw new Error(`${each.spec.id} was called before its turn`);
    each.at = 'waiting';
  };
  const end = (each: ModelBuild) => {
    each.turns.clear();
    each.at = 'ended';
    each.ends++;
  };
  const lose = (each: ModelBuild, how: { failed: boolean; died: boolean }, worker: string) => {
    if (how.failed) each.failures++;
    if (how.died) each.deaths++;
    const tooOften = how.died ? each.deaths >= mostDeaths : each.failures >= mostAttempts;
    if (each.cancel || (how.failed && tooOften)) return end(each);
    if (how.failed) each.avoids = worker;
    each.turns.clear();
    each.at = 'waiting';
  };
  /** Slots went away: what is ready and fits nowhere any more waits again, as Redis says. */
  const withdrawn = async () => {
    for (const each of model.all(({ at }) => at === 'ready')) {
      const at = await redis.client.hget(`${redis.prefix}b:${each.spec.id}`, 'at');
      if (at === 'waiting') each.at = 'waiting';
    }
  };
  /** What Redis said of a turn has to be what the rules say. */
  const judge = (each: ModelBuild, workflow: string, turn: ModelTurn, taken: boolean) => {
    const free = turn.state === 'has' || (!model.blocked(each, turn) && !model.unplanned(each));
    if (taken !== free)
      throw new Error(`${each.spec.id}/${workflow} ${taken ? 'has' : 'waits for'} its turn`);
    if (taken) turn.state = 'has';
  };
  const idOf = (session: string) => session.split('#')[0] ?? '';

  return {
    model,
    mail,
    delivered,
    fences,
    admissions,
    call,
    capProject: async (project: string, most: number) => {
      model.ownCaps.set(project, most);
      await capProject(redis, project, most);
    },
    submit: async (spec: BuildSpec) => {
      const known = model.builds.has(spec.id);
      const others = model.inLine(spec).filter((other) => other.spec.id !== spec.id);
      const { at = '' } = spec.trigger;
      const newer = others.some(({ spec: { trigger } }) => at !== '' && (trigger.at ?? '') > at);
      model.builds.set(spec.id, {
        spec,
        at: spec.hold ? 'held' : 'waiting',
        attempt: 0,
        session: '',
        avoids: '',
        failures: 0,
        deaths: 0,
        cancel: false,
        ends: 0,
        class: '',
        n: 0,
        turns: new Map(),
      });
      const [, , flat, number, ended] = await call('submit', ...requestOf(spec, redis.prefix));
      if (!known) {
        const count = model.all((other) => other.spec.project === spec.project).length;
        if (number !== count) throw new Error(`build ${count} of its project has the number ${number}`);
        const needless = newer ? [build(spec.id)] : others;
        for (const each of needless) {
          if (each.at === 'running') each.cancel = true;
          else end(each);
        }
        const expected = needless.filter((each) => each.at === 'ended').map((each) => each.spec.id);
        if (String([...ended].sort()) !== String(expected.sort()))
          throw new Error(`superseded ${String(ended)}, not ${String(expected)}`);
      }
      admit(flat);
    },
    register: async (worker: ModelWorker) => {
      model.workers.set(worker.session, worker);
      const { session, class: key, labels, slots } = worker;
      const reply = await call('register', session, '{}', key, JSON.stringify(labels), slots);
      await withdrawn();
      admit(reply[0]);
    },
    /** A worker of the right class gets mail. */
    deliver: async (handed: Handed, worker: ModelWorker) => {
      const each = build(handed.id);
      const before = each.at;
      const reply = await call('claim', handed.id, handed.n, worker.session, now);
      if (reply[0] === 'claimed') {
        const [, attempt] = reply;
        if (before === 'running' && each.attempt === attempt && each.session === worker.session) return;
        if (before !== 'ready' || each.n !== handed.n)
          throw new Error(`${handed.id} was claimed while it was ${before}`);
        if (attempt !== each.attempt + 1) throw new Error(`attempt ${attempt} follows ${each.attempt}`);
        Object.assign(each, { at: 'running', attempt, session: worker.session });
        fences.push({ id: handed.id, attempt, session: worker.session });
      } else if (reply[0] === 'refused') {
        each.at = 'waiting';
        await withdrawn();
        admit(reply[1]);
      }
    },
    /** True: the queue took the verdict. */
    finish: async (
      { id, attempt, session }: { id: string; attempt: number; session: string },
      status: string,
    ) => {
      const each = build(id);
      const holds = each.at === 'running' && each.attempt === attempt && each.session === session;
      const again = each.at === 'ended' && each.attempt === attempt && each.session === session;
      const [kind, flat] = await call(
        'finish',
        id,
        attempt,
        session,
        now,
        status,
        '',
        '',
        `{"said":"${session}"}`,
      );
      if ((kind === 'ok') !== (holds || again))
        throw new Error(`${kind} for attempt ${attempt} of ${each.attempt}`);
      if (holds) end(each);
      admit(flat);
      return kind === 'ok';
    },
    giveBack: async (
      each: ModelBuild,
      kind: 'infrastructure' | 'requeue',
      labels?: Readonly<Record<string, string>>,
    ) => {
      const args = [
        each.spec.id,
        each.attempt,
        each.session,
        now,
        kind,
        'sandbox',
        'broken',
        '',
        labels ? canonicalLabels(labels) : 'same',
        ...limits,
        0,
      ];
      const [said, , flat] = await call('giveBack', ...args);
      if (said !== 'ok') throw new Error(`the holder could not give ${each.spec.id} back: ${said}`);
      if (labels) each.spec = { ...each.spec, labels };
      lose(each, { failed: kind === 'infrastructure', died: false }, idOf(each.session));
      admit(flat);
    },
    /** Its workflows are called w0, w1, … */
    announce: async (each: ModelBuild, wanted: readonly Omit<ModelTurn, 'state'>[]) => {
      each.turns = new Map(wanted.map((turn, i) => [`w${i}`, { ...turn, state: 'waits' }]));
      const list = [...each.turns].map(([workflow, turn]) => ({ workflow, name: turn.group, ...turn }));
      const args = [each.spec.id, each.attempt, each.session, JSON.stringify(list)] as const;
      const [kind, taken] = await call('announceTurns', ...args);
      if (kind !== 'ok') throw new Error(`the holder could not announce: ${kind}`);
      for (const [workflow, turn] of each.turns) {
        if (turn.first) judge(each, workflow, turn, taken.includes(workflow));
      }
    },
    takeTurn: async (each: ModelBuild, workflow: string, turn: ModelTurn) => {
      const [said] = await call('takeTurn', each.spec.id, each.attempt, each.session, workflow);
      judge(each, workflow, turn, said === 'taken');
    },
    leaveTurn: async (each: ModelBuild, workflow: string) => {
      each.turns.delete(workflow);
      const [kind, flat] = await call('leaveTurn', each.spec.id, each.attempt, each.session, workflow);
      if (kind !== 'ok') throw new Error(`the holder could not leave: ${kind}`);
      admit(flat);
    },
    standAside: async (each: ModelBuild) => {
      const args = [each.spec.id, each.attempt, each.session, now, 'aside', '', '', '', 'same', ...limits, 0];
      const [said, , flat] = await call('giveBack', ...args);
      if (said !== 'ok') throw new Error(`the holder could not put ${each.spec.id} aside: ${said}`);
      if (each.cancel) end(each);
      else each.at = model.mustStandAside(each) ? 'aside' : 'waiting';
      admit(flat);
    },
    /** Who stands aside although its turn has come, and goes for a slot. */
    called: async () => {
      for (const each of model.all(({ at }) => at === 'aside')) {
        const at = await redis.client.hget(`${redis.prefix}b:${each.spec.id}`, 'at');
        if (at === 'waiting') comeForward(each);
      }
    },
    cancel: async (each: ModelBuild) => {
      const expected = {
        held: 'canceled',
        aside: 'canceled',
        waiting: 'canceled',
        ready: 'canceled',
        running: 'canceling',
        ended: 'finished',
      }[each.at];
      const [kind, flat] = await call('cancel', each.spec.id, now);
      if (kind !== expected) throw new Error(`cancel of a ${each.at} build: ${kind}`);
      if (kind === 'canceled') end(each);
      if (kind === 'canceling') each.cancel = true;
      admit(flat);
    },
    approve: async (each: ModelBuild) => {
      const [kind, flat] = await call('approve', each.spec.id, now, 'somebody');
      if (kind !== 'approved' || each.at !== 'held')
        throw new Error(`approval of a ${each.at} build: ${kind}`);
      each.at = 'waiting';
      admit(flat);
    },
    beat: async (worker: ModelWorker) => {
      const own = model.all(({ at, session }) => at === 'running' && session === worker.session);
      const args = own.flatMap(({ spec, attempt }) => [spec.id, attempt]);
      const [kind, stale, cancel, flat] = await call('beat', worker.session, now, ...args);
      const asked = own.filter((each) => each.cancel).flatMap(({ spec, attempt }) => [spec.id, attempt]);
      if (kind !== 'ok' || stale.length > 0 || String(cancel) !== String(asked)) {
        throw new Error(
          `beat: ${kind}, stale ${String(stale)}, cancel ${String(cancel)} of ${String(asked)}`,
        );
      }
      admit(flat);
    },
    bury: async (worker: ModelWorker) => {
      const beat = (await redis.client.hget(`${redis.prefix}beats`, worker.session)) ?? '';
      const [kind, flat] = await call('bury', worker.session, now, beat, mostDeaths);
      if (kind !== 'buried') throw new Error(`bury: ${kind}`);
      model.workers.delete(worker.session);
      for (const each of model.all(({ at, session }) => at === 'running' && session === worker.session)) {
        lose(each, { failed: true, died: true }, worker.id);
      }
      await withdrawn();
      admit(flat);
    },
    tick: async () => {
      const [flat, , , ready] = await call('tick', 1e9);
      await withdrawn();
      admit(flat);
      return parseHanded(ready);
    },
    /** What BullMQ lost comes again. */
    handAgain: async ({ id, n }: Handed) => {
      for (const handed of parseHanded(await call('handAgain', id, n))) {
        build(id).n = handed.n;
        mail.push(handed);
      }
    },
  };
}

export type Simulation = ReturnType<typeof createSimulation>;
