import { expect, test } from 'vitest';
import { type Fate, runGraph, type Task } from '../../workers/graph.ts';
import { randomFrom } from '../random.ts';

type End = 'success' | 'failure';

interface Scripted extends Task {
  readonly ends: End;
  /** Turns of the event loop that it takes. */
  readonly turns: number;
}

const states = [['success'], ['failure'], ['success', 'failure']] as const;

/** A graph of up to twelve tasks, in an order in which those that wait may come first. */
function randomGraph(seed: number): Scripted[] {
  const random = randomFrom(seed);
  const count = 1 + random(12);
  const density = 1 + random(6);
  const tasks = Array.from(
    { length: count },
    (_, i): Scripted => ({
      name: `t${i}`,
      dependsOn: Array.from({ length: i }, (__, j) => `t${j}`).filter(() => random(density) === 0),
      when: states[random(5) === 0 ? 1 + random(2) : 0] ?? states[0],
      ends: random(4) === 0 ? 'failure' : 'success',
      turns: random(6),
    }),
  );
  return tasks
    .map((task) => ({ task, key: random(1000) }))
    .sort((a, b) => a.key - b.key)
    .map(({ task }) => task);
}

interface Verdict {
  readonly ran: boolean;
  /** What it means to those that wait for it. */
  readonly state: End;
}

/** What has to become of each task, by the rules alone. */
function expected(tasks: readonly Scripted[]): Map<string, Verdict> {
  const byName = new Map(tasks.map((task) => [task.name, task]));
  const known = new Map<string, Verdict>();
  const look = (name: string): Verdict => {
    const before = known.get(name);
    if (before) return before;
    const task = byName.get(name);
    if (!task) throw new Error(`no task ${name}`);
    const failed = task.dependsOn.map(look).some(({ state }) => state === 'failure');
    const ran = task.when.includes(failed ? 'failure' : 'success');
    const verdict: Verdict = {
      ran,
      state: failed || (ran && task.ends === 'failure') ? 'failure' : 'success',
    };
    known.set(name, verdict);
    return verdict;
  };
  for (const { name } of tasks) look(name);
  return known;
}

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise(setImmediate);
};

/** Runs the graph and checks on the way what holds at every moment; what ran, what was skipped and why, in order. */
async function execute(tasks: readonly Scripted[], limit?: number) {
  const ran: string[] = [];
  const skipped = new Map<string, string | undefined>();
  const ended = new Set<string>();
  const running = new Set<string>();
  let most = 0;
  await runGraph(tasks, {
    ...(limit !== undefined && { limit }),
    stopped: () => false,
    run: async (task): Promise<Fate> => {
      expect(
        task.dependsOn.filter((name) => !ended.has(name)),
        `${task.name} began too early`,
      ).toEqual([]);
      expect(ran).not.toContain(task.name);
      ran.push(task.name);
      running.add(task.name);
      most = Math.max(most, running.size);
      await turns(task.turns);
      running.delete(task.name);
      ended.add(task.name);
      return () => task.ends;
    },
    skip: async ({ name }, because) => {
      skipped.set(name, because);
      ended.add(name);
    },
  });
  expect(running.size).toBe(0);
  return { ran, skipped, most };
}

test('what runs, what is skipped, and for whom, is as the rules say (2000 random graphs)', async () => {
  for (let seed = 1; seed <= 2000; seed++) {
    const tasks = randomGraph(seed);
    const limit = seed % 3 === 0 ? 1 + (seed % 4) : undefined;
    const { ran, skipped, most } = await execute(tasks, limit);
    const verdicts = expected(tasks);
    const names = (wanted: boolean) =>
      tasks.filter(({ name }) => verdicts.get(name)?.ran === wanted).map(({ name }) => name);
    expect(ran.toSorted(), `seed ${seed}`).toEqual(names(true).toSorted());
    expect([...skipped.keys()].toSorted(), `seed ${seed}`).toEqual(names(false).toSorted());
    if (limit !== undefined) expect(most, `seed ${seed}`).toBeLessThanOrEqual(limit);
    for (const [name, because] of skipped) {
      const failed = tasks
        .find((task) => task.name === name)
        ?.dependsOn.some((each) => verdicts.get(each)?.state === 'failure');
      expect(because !== undefined, `seed ${seed}: ${name}`).toBe(failed);
      if (because === undefined) continue;
      expect(ran).toContain(because);
      expect(tasks.find((task) => task.name === because)?.ends).toBe('failure');
    }
  }
});

test('what needs not wait runs side by side, in the order of the list where there is a choice', async () => {
  const task = (name: string, dependsOn: readonly string[] = []): Scripted => ({
    name,
    dependsOn,
    when: ['success'],
    ends: 'success',
    turns: 5,
  });
  const tasks = [task('d', ['b', 'c']), task('b', ['a']), task('c', ['a']), task('a'), task('e')];
  expect(await execute(tasks)).toMatchObject({ ran: ['a', 'e', 'b', 'c', 'd'], most: 3 });
  expect(await execute(tasks, 1)).toMatchObject({ ran: ['a', 'b', 'c', 'd', 'e'], most: 1 });
});

test('once it is stopped nothing begins, and nobody is to blame', async () => {
  const began: string[] = [];
  const skipped: (string | undefined)[] = [];
  let stopped = false;
  const tasks = ['a', 'b', 'c'].map((name, i, all) => ({
    name,
    dependsOn: all.slice(Math.max(0, i - 1), i),
    when: states[2],
  }));
  await runGraph(tasks, {
    stopped: () => stopped,
    run: async ({ name }) => {
      began.push(name);
      stopped = true;
      return () => 'failure';
    },
    skip: async (_, because) => void skipped.push(because),
  });
  expect(began).toEqual(['a']);
  expect(skipped).toEqual([undefined, undefined]);
});

test('a task that fails after others need not wait for it skips those that begin later', async () => {
  let state: End = 'success';
  const ran: string[] = [];
  const skipped: string[] = [];
  const tasks = [
    { name: 'server', dependsOn: [], when: states[0] },
    { name: 'first', dependsOn: ['server'], when: states[0] },
    { name: 'second', dependsOn: ['server', 'first'], when: states[0] },
  ];
  await runGraph(tasks, {
    stopped: () => false,
    run: async ({ name }): Promise<Fate> => {
      ran.push(name);
      if (name === 'first') state = 'failure';
      return () => (name === 'server' ? state : 'success');
    },
    skip: async ({ name }, because) => void skipped.push(`${name} for ${because}`),
  });
  expect({ ran, skipped }).toEqual({ ran: ['server', 'first'], skipped: ['second for server'] });
});
