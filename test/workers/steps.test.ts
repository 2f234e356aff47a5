import { describe, expect, test } from 'vitest';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import type { PlanStep } from '../../src/workflow/plan.ts';
import { play, type Scene, step, workflow } from './rehearsal.ts';

type Steps = Scene['steps'];

/** Plays steps as a graph: what each says of its dependencies holds. */
const playGraph = (steps: Steps, scene: Partial<Scene> = {}) =>
  play({ steps, workflows: [workflow('ci', steps, scene.plan)], ...scene });

/** `name status`, with whose failure it is for. */
async function ends(steps: Steps, scene: Partial<Scene> = {}): Promise<readonly string[]> {
  const { record } = await playGraph(steps, scene);
  const [first] = record.workflows;
  const said = first?.steps.map(({ name, status, because }) => {
    return because === undefined ? `${name} ${status}` : `${name} ${status} for ${because}`;
  });
  return [record.status, ...(said ?? [])];
}

const after = (...dependsOn: string[]): Partial<PlanStep> => ({ dependsOn });

describe('steps run as they depend on each other', () => {
  test('a failure skips what depends on it, near or far, and nothing else', async () => {
    const steps: Steps = [
      step('a', 'exit 1'),
      step('b', 'exit 0', after('a')),
      step('c', 'exit 0', after('b')),
      step('d', 'exit 0'),
      step('e', 'exit 0', after('d')),
      step('f', 'exit 0', { ...after('a', 'd'), when: ['failure'] }),
      step('g', 'exit 0', { ...after('f'), when: ['success', 'failure'] }),
    ];
    expect(await ends(steps)).toEqual([
      'failed',
      'a failed',
      'b skipped for a',
      'c skipped for a',
      'd passed',
      'e passed',
      'f passed',
      'g passed',
    ]);
  });

  test('those that wait for nothing run at one time, and the record says what each waited for', async () => {
    const steps: Steps = [
      step('a', 'after 100'),
      step('b', 'after 100'),
      step('c', 'exit 0', after('a', 'b')),
    ];
    const began = performance.now();
    const { record, events } = await playGraph(steps);
    expect(performance.now() - began).toBeLessThan(190);
    expect(events.slice(0, 2)).toEqual(['step a running', 'step b running']);
    expect(record.workflows[0]?.steps.map(({ dependsOn }) => dependsOn)).toEqual([[], [], ['a', 'b']]);
  });

  test('as many at one time as `parallel` lets', async () => {
    let running = 0;
    let most = 0;
    await playGraph(
      [step('a', 'after 5'), step('b', 'after 5'), step('c', 'after 5'), step('d', 'after 5')],
      {
        plan: { parallel: 2 },
        on: (event) => {
          if (/^step . running$/.test(event)) most = Math.max(most, ++running);
          else if (event.startsWith('step')) running--;
        },
      },
    );
    expect(most).toBe(2);
  });

  test('each chunk of the log has its step', async () => {
    const { events } = await playGraph([
      step('a', 'print one'),
      step('b', 'print two'),
      step('c', 'print three'),
    ]);
    expect(events.filter((event) => event.startsWith('log')).toSorted()).toEqual([
      'log a one',
      'log b two',
      'log c three',
    ]);
  });

  test('the platform failing under one stops the others at once, and the build is errored', async () => {
    const steps: Steps = [step('a', 'nothing'), step('b', 'sleep'), step('c', 'exit 0', after('b'))];
    expect(await ends(steps)).toEqual(['errored', 'a errored', 'b canceled', 'c skipped']);
  });
});

describe('a step with a timeout of its own', () => {
  test('is failed by it, which the build is too, and others go on', async () => {
    const steps: Steps = [
      step('a', 'sleep', { timeoutMs: 20 }),
      step('b', 'after 60'),
      step('c', 'exit 0', after('a')),
      step('d', 'exit 0', { ...after('a'), when: ['failure'] }),
    ];
    const { record } = await playGraph(steps);
    expect(record).toMatchObject({ status: 'failed', reason: 'timeout' });
    expect(record.workflows[0]?.steps).toMatchObject([
      { status: 'failed', reason: 'timeout', exitCode: 143 },
      { status: 'passed' },
      { status: 'skipped', because: 'a' },
      { status: 'passed' },
    ]);
  });

  test('that passes in time is not touched', async () => {
    expect(await ends([step('a', 'exit 0', { timeoutMs: 10_000 })])).toEqual(['passed', 'a passed']);
  });
});

describe('a detached step', () => {
  const detached: Partial<PlanStep> = { mode: 'detached' };

  test('is waited for by nobody, and ended when the others are through: that is no failure', async () => {
    const steps: Steps = [step('server', 'sleep', detached), step('a', 'after 20', after('server'))];
    const began = performance.now();
    const { record, events } = await playGraph(steps);
    expect(performance.now() - began).toBeLessThan(1500);
    expect(record.status).toBe('passed');
    expect(record.workflows[0]?.steps).toMatchObject([
      { name: 'server', status: 'passed' },
      { name: 'a', status: 'passed', exitCode: 0 },
    ]);
    expect(events.filter((event) => event.startsWith('step'))).toEqual([
      'step server running',
      'step a running',
      'step a passed',
      'step server passed',
    ]);
  });

  test('that fails before fails the build, and skips what depends on it and has not begun', async () => {
    const steps: Steps = [
      step('server', 'after 10 3', detached),
      step('a', 'after 60', after('server')),
      step('b', 'exit 0', after('server', 'a')),
    ];
    expect(await ends(steps)).toEqual(['failed', 'server failed', 'a passed', 'b skipped for server']);
  });

  test('that fails does nothing when its failure is ignored', async () => {
    const steps: Steps = [
      step('server', 'after 10 3', { ...detached, onFailure: 'ignore' }),
      step('a', 'after 60', after('server')),
      step('b', 'exit 0', after('server', 'a')),
    ];
    expect(await ends(steps)).toEqual(['passed', 'server failed', 'a passed', 'b passed']);
  });

  test('does not count against `parallel`', async () => {
    const steps: Steps = [step('server', 'sleep', detached), step('a', 'exit 0', after('server'))];
    expect(await ends(steps, { plan: { parallel: 1 } })).toEqual(['passed', 'server passed', 'a passed']);
  });
});

test('a step with `failure: cancel` that fails stops all others, and the build is failed by it', async () => {
  const steps: Steps = [
    step('a', 'after 20 7', { onFailure: 'cancel' }),
    step('b', 'sleep'),
    step('c', 'exit 0', { ...after('a'), when: ['success', 'failure'] }),
  ];
  const { record } = await playGraph(steps);
  expect(record).toMatchObject({ status: 'failed', reason: 'exit' });
  expect(record.workflows[0]?.steps).toMatchObject([
    { status: 'failed', exitCode: 7 },
    { status: 'canceled', reason: 'canceled' },
    { status: 'skipped' },
  ]);
});

describe('what a step hands over', () => {
  const keep = (when: 'always' | 'success' | 'failure', ...globs: string[]): Partial<PlanStep> => ({
    artifacts: globs.map((glob) => ({ glob, when })),
  });

  test('depends on how it ended itself, not on the build', async () => {
    const { record } = await playGraph([
      step('a', 'write a 1', keep('success', 'a')),
      step('b', 'write b 1', keep('failure', 'b')),
      step('c', 'write c 1'),
      step('d', 'exit 1', { ...after('a', 'b', 'c'), ...keep('failure', 'c') }),
      step('e', 'exit 0', { ...after('d'), ...keep('always', 'a', 'b') }),
    ]);
    expect(record.status).toBe('failed');
    expect(record.artifacts.map(({ path }) => path).toSorted()).toEqual(['a', 'c']);
  });
});

test('a step runs where it says, and finds its source where the workflow says', async () => {
  const seen: unknown[] = [];
  const driver = fakeDriver(({ cwd, env }) => {
    seen.push([cwd, env['CI_WORKSPACE']]);
    return {};
  });
  const steps: Steps = [
    step('a'),
    step('b', 'exit 0', { ...after('a'), directory: 'web/app' }),
    step('c', 'exit 0', { ...after('b'), directory: '/etc' }),
  ];
  await playGraph(steps, { plan: { workspace: '/go/src/app' }, tools: { driver } });
  expect(seen).toEqual([
    ['/go/src/app', '/go/src/app'],
    ['/go/src/app/web/app', '/go/src/app'],
    ['/etc', '/go/src/app'],
  ]);
});
