import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { WorkflowRecord } from '../../../src/build.ts';
import { summary } from '../../../src/cli/summary.ts';
import { recordOf } from './recorder.ts';

beforeEach(() => {
  vi.stubEnv('NO_COLOR', '1');
  vi.stubEnv('FORCE_COLOR', undefined);
});

afterEach(() => void vi.unstubAllEnvs());

/** The lines of steps and workflows. */
function graph(...workflows: readonly WorkflowRecord[]): string[] {
  const lines = [...summary(recordOf({ workflows }), undefined)];
  return lines.slice(
    1,
    lines.findIndex((line) => line.startsWith('prepare ')),
  );
}

test('what a step waited for has lines of its own where it does not fit in 80 columns', () => {
  const versions = Array.from({ length: 8 }, (_, i) => `test (NODE=${18 + i})`);
  const fits = ['a', 'b'.repeat(36)];
  expect(
    graph({
      name: 'ci',
      status: 'passed',
      steps: [
        { name: 'first', status: 'skipped', dependsOn: fits },
        { name: 'second', status: 'skipped', dependsOn: [...fits, 'c'], because: 'a' },
        { name: 'third', status: 'passed', dependsOn: versions },
      ],
    }),
  ).toEqual([
    '- first                        skipped: nothing failed before it',
    `    after a, ${'b'.repeat(36)}`,
    '- second                       skipped: a failed',
    `    after a, ${'b'.repeat(36)}, c`,
    '✓ third                        ',
    '    after test (NODE=18), test (NODE=19), test (NODE=20), test (NODE=21),',
    '          test (NODE=22), test (NODE=23), test (NODE=24), test (NODE=25)',
  ]);
});

test.each<[Pick<WorkflowRecord, 'status' | 'reason'>, string]>([
  [{ status: 'passed' }, 'skipped: nothing failed before it'],
  [{ status: 'failed', reason: 'exit' }, 'skipped'],
  [{ status: 'failed', reason: 'service' }, 'skipped'],
  [{ status: 'canceled', reason: 'canceled' }, 'skipped'],
  [{ status: 'timed_out', reason: 'timeout' }, 'skipped'],
])('a step that no failure skipped, in a workflow that is %j: %s', (ended, note) => {
  const [line = ''] = graph({ name: 'ci', ...ended, steps: [{ name: 'report', status: 'skipped' }] });
  expect(line).toBe(`- ${'report'.padEnd(28)} ${note}`);
});

test.each<[WorkflowRecord['status'], string]>([
  ['passed', '1.0 s, ignored'],
  ['failed', '1.0 s'],
])('a step that failed in a workflow that %s: %s', (status, note) => {
  const times = { startedAt: '2026-01-01T00:00:00.000Z', finishedAt: '2026-01-01T00:00:01.000Z' };
  const [line = ''] = graph({ name: 'ci', status, steps: [{ name: 'lint', status: 'failed', ...times }] });
  expect(line).toBe(`✗ ${'lint'.padEnd(28)} ${note}`);
});
