import { describe, expect, test } from 'vitest';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import type { ArtifactStore } from '../../src/artifacts.ts';
import type { PlanStep } from '../../src/workflow/plan.ts';
import { play, type Scene, step, verdicts } from './rehearsal.ts';

const always: Partial<PlanStep> = { when: ['success', 'failure'] };

describe('a build that is stopped', () => {
  const steps: Scene['steps'] = [step('a', 'sleep'), step('b', 'exit 0', always)];
  const cancelAt =
    (when: string): NonNullable<Scene['on']> =>
    (event, abort) =>
      event === when ? abort.request('canceled') : undefined;

  test('while it prepares: nothing is opened', async () => {
    const scene: Scene = {
      steps,
      tools: { resolveImage: () => new Promise(() => {}) },
      plan: { timeoutMs: 20 },
    };
    expect(await verdicts(scene)).toEqual(['timed_out timeout', 'skipped', 'skipped']);
    expect((await play(scene)).opened).toBe(0);
  });

  test('just before a step begins: it gets SIGTERM as soon as it runs', async () => {
    const { record } = await play({ steps, on: cancelAt('step a running') });
    expect(record.status).toBe('canceled');
    expect(record.workflows[0]?.steps).toMatchObject([
      { status: 'canceled', exitCode: 143 },
      { status: 'skipped' },
    ]);
  });

  test('while a step runs: it gets SIGTERM, no later step runs', async () => {
    const { record, destroyed } = await play({ steps, on: cancelAt('log a zzz') });
    expect(record).toMatchObject({ status: 'canceled', reason: 'canceled' });
    expect(record.workflows[0]?.steps).toMatchObject([
      { name: 'a', status: 'canceled', reason: 'canceled', exitCode: 143 },
      { name: 'b', status: 'skipped' },
    ]);
    expect(destroyed).toBe(1);
  });

  test('twice: what does not heed SIGTERM is killed at once', async () => {
    const deaf = fakeDriver(() => ({ output: ['zzz'], delayMs: 20_000 }));
    const driver: typeof deaf = {
      open: (spec) => {
        const sandbox = deaf.open(spec);
        return { ...sandbox, start: (container) => ({ ...sandbox.start(container), signal: () => {} }) };
      },
    };
    const twice: Scene['on'] = (event, abort) => {
      if (event !== 'log a zzz') return;
      abort.request('canceled');
      abort.request('canceled');
    };
    const began = performance.now();
    const { record } = await play({ steps, on: twice, tools: { driver } });
    expect(record.workflows[0]?.steps[0]).toMatchObject({ status: 'canceled', exitCode: 137 });
    expect(performance.now() - began).toBeLessThan(1000);
  });

  test('by its timeout', async () => {
    expect(await verdicts({ steps, plan: { timeoutMs: 50 } })).toEqual([
      'timed_out timeout',
      'timed_out timeout',
      'skipped',
    ]);
  });

  test('between two steps', async () => {
    expect(await verdicts({ steps: [step('a'), step('b')], on: cancelAt('step a passed') })).toEqual([
      'canceled canceled',
      'passed',
      'skipped',
    ]);
  });

  test('while artifacts are collected', async () => {
    const never: ArtifactStore = {
      begin: () => new Promise(() => {}),
      data: async () => {},
      end: () => Promise.reject(new Error('never')),
      discard: async () => {},
    };
    const { record } = await play({
      steps: [step('a', 'write file x')],
      artifacts: [{ glob: 'file', when: 'success' }],
      tools: { artifacts: never },
      plan: { timeoutMs: 50 },
    });
    expect(record).toMatchObject({ status: 'timed_out', artifacts: [] });
  });

  test('its verdict stands when the sandbox breaks because of it', async () => {
    const { record } = await play({
      steps,
      failures: { run: 'killed' },
      on: cancelAt('step a running'),
    });
    expect(record).toMatchObject({ status: 'canceled', reason: 'canceled' });
  });
});
