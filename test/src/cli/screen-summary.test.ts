import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { BuildRecord, StepRecord, WorkflowRecord } from '../../../src/build.ts';
import { createScreen } from '../../../src/cli/screen.ts';
import { recorder, recordOf } from './recorder.ts';

beforeEach(() => {
  vi.stubEnv('NO_COLOR', '1');
  vi.stubEnv('FORCE_COLOR', undefined);
});

afterEach(() => void vi.unstubAllEnvs());

describe('the summary', () => {
  const show = async (record: Partial<BuildRecord>, keptIn?: string) => {
    const output = recorder();
    await createScreen(output).end(recordOf(record), keptIn);
    expect(output.stdout().length).toBe(0);
    return output.stderr();
  };

  test('has steps, artifacts, phases, usage and the verdict', async () => {
    const steps: StepRecord[] = [
      {
        name: 'build',
        status: 'passed',
        startedAt: '2026-01-01T00:00:00.000Z',
        finishedAt: '2026-01-01T00:01:05.000Z',
      },
      {
        name: 'test',
        status: 'failed',
        startedAt: '2026-01-01T00:00:00.000Z',
        finishedAt: '2026-01-01T00:00:00.250Z',
      },
      { name: 'deploy', status: 'skipped' },
    ];
    expect(
      await show(
        {
          status: 'failed',
          reason: 'oom',
          workflows: [{ name: 'ci', status: 'failed', steps }],
          artifacts: [{ path: 'dist/a', size: 2048, sha256: 'abc' }],
        },
        'out',
      ),
    ).toBe(
      [
        '',
        '✓ build                        1 min 05 s',
        '✗ test                         250 ms',
        '- deploy                       skipped',
        '↓ dist/a  2.0 KiB  sha256:abc',
        '  artifacts are in out',
        'prepare 1 ms · sandbox 2 ms · run 1.2 s · collect 4 ms · destroy 5 ms',
        'cpu 0.50 s · memory 1.0 MiB · disk 2.0 KiB',
        'failed (oom)',
        '',
      ].join('\n'),
    );
  });

  test('shows a graph: services, what each step waited for, and for whom one was skipped', async () => {
    const times = (ms: number) => ({
      startedAt: '2026-01-01T00:00:00.000Z',
      finishedAt: new Date(Date.parse('2026-01-01T00:00:00.000Z') + ms).toISOString(),
    });
    const workflows: WorkflowRecord[] = [
      {
        name: 'test (GO=1.24)',
        status: 'failed',
        ...times(900),
        services: [{ name: 'db', status: 'passed', ...times(800) }],
        steps: [
          { name: 'unit', status: 'failed', dependsOn: [], ...times(100) },
          { name: 'lint', status: 'passed', dependsOn: [], ...times(50) },
          { name: 'publish', status: 'skipped', dependsOn: ['unit', 'lint'], because: 'unit' },
        ],
      },
      {
        name: 'deploy',
        status: 'skipped',
        dependsOn: ['test (GO=1.24)'],
        because: 'test (GO=1.24)',
        steps: [{ name: 'go', status: 'skipped' }],
      },
    ];
    const lines = (await show({ status: 'failed', reason: 'exit', workflows })).split('\n');
    expect(lines.slice(1, 9)).toEqual([
      '✗ test (GO=1.24)               900 ms',
      '  ✓ service:db                 800 ms',
      '  ✗ unit                       100 ms',
      '  ✓ lint                       50 ms',
      '  - publish                    skipped: unit failed  after unit, lint',
      '- deploy                       skipped: test (GO=1.24) failed',
      '    after test (GO=1.24)',
      '  - go                         skipped',
    ]);
  });

  test('says how artifacts could have been kept', async () => {
    expect(await show({ artifacts: [{ path: 'a', size: 1, sha256: 'f' }] })).toContain(
      '\n  artifacts were not kept; --artifacts DIR keeps them\n',
    );
  });

  test.each<readonly [Partial<BuildRecord>, string]>([
    [{}, 'passed'],
    [{ status: 'failed', reason: 'exit' }, 'failed'],
    [{ status: 'failed', reason: 'disk' }, 'failed (disk)'],
    [{ status: 'errored', reason: 'image', message: 'no such image' }, 'no such image\nerrored (image)'],
    [{ status: 'timed_out', reason: 'timeout' }, 'timed out'],
    [{ status: 'canceled', reason: 'canceled' }, 'canceled'],
  ])('ends %j', async (record, end) => {
    expect((await show(record)).endsWith(`2.0 KiB\n${end}\n`)).toBe(true);
  });
});
