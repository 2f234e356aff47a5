import { describe, expect, test } from 'vitest';
import { type ArtifactStore, ArtifactStoreError } from '../../src/artifacts.ts';
import type { PlanStep } from '../../src/workflow/plan.ts';
import { play, type Scene, step } from './rehearsal.ts';

describe('artifacts are handed over', () => {
  const patterns = (['always', 'success', 'failure'] as const).map((when) => ({ glob: when, when }));
  const writes = [step('w1', 'write always 1'), step('w2', 'write success 2'), step('w3', 'write failure 3')];
  const [first = step(''), ...others] = writes;
  const handedOver = async (last: PlanStep, scene: Omit<Scene, 'steps'> = {}) => {
    const { record } = await play({ steps: [first, ...others, last], artifacts: patterns, ...scene });
    return record.artifacts.map(({ path }) => path);
  };

  test.each([
    ['a success', 'exit 0', ['always', 'success']],
    ['a failure', 'exit 1', ['always', 'failure']],
    ['running out of memory', 'oom 0', ['always', 'failure']],
  ])('after %s', async (_, words, expected) =>
    expect(await handedOver(step('last', words))).toEqual(expected),
  );

  test('after a timeout, as after a failure', async () => {
    expect(await handedOver(step('last', 'sleep'), { plan: { timeoutMs: 300 } })).toEqual([
      'always',
      'failure',
    ]);
  });

  test('not after a cancel', async () => {
    const on: Scene['on'] = (event, abort) =>
      event === 'log last zzz' ? abort.request('canceled') : undefined;
    expect(await handedOver(step('last', 'sleep'), { on })).toEqual([]);
  });

  const glob = { glob: 'file', when: 'always' } as const;
  test('too many make a build fail', async () => {
    const { record } = await play({
      steps: [step('a', 'write file x')],
      artifacts: [glob],
      request: { artifactCaps: { files: 0, bytes: 1 } },
    });
    expect(record).toMatchObject({ status: 'failed', reason: 'artifacts' });
    expect(record.message).toBe('artifacts: 1 files, at most 0; pack them into an archive');
  });

  test('a place that cannot take them is our trouble, unless the build failed anyway', async () => {
    const full: ArtifactStore = {
      begin: () => Promise.reject(new ArtifactStoreError('disk full')),
      data: async () => {},
      end: () => Promise.reject(new Error('never')),
      discard: async () => {},
    };
    const ends = async (last: string) =>
      (
        await play({
          steps: [step('a', 'write file x'), step('b', last)],
          artifacts: [glob],
          tools: { artifacts: full },
        })
      ).record;
    expect(await ends('exit 0')).toMatchObject({
      status: 'errored',
      reason: 'artifacts',
      message: 'disk full',
    });
    expect(await ends('exit 1')).toMatchObject({ status: 'failed', reason: 'exit', message: 'disk full' });
  });
});
