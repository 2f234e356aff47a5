import { describe, expect, test } from 'vitest';
import { ImageError } from '../../runtime/images/image.ts';
import { ImageReferenceError } from '../../runtime/images/reference.ts';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import { SandboxError } from '../../runtime/sandbox.ts';
import type { PlanStep } from '../../src/workflow/plan.ts';
import { SourceError } from '../../workers/source.ts';
import { image, play, type Scene, step, verdicts } from './rehearsal.ts';

const ignored: Partial<PlanStep> = { onFailure: 'ignore' };
const onFailure: Partial<PlanStep> = { when: ['failure'] };
const always: Partial<PlanStep> = { when: ['success', 'failure'] };

describe('what the steps make of a build', () => {
  const table: readonly (readonly [string, Scene['steps'], readonly string[]])[] = [
    ['all pass', [step('a'), step('b')], ['passed', 'passed', 'passed']],
    ['one fails', [step('a', 'exit 7'), step('b')], ['failed exit', 'failed exit', 'skipped']],
    ['killed by a signal', [step('a', 'exit 137')], ['failed exit', 'failed exit']],
    [
      'a failure that is ignored',
      [step('a', 'exit 1', ignored), step('b')],
      ['passed', 'failed exit', 'passed'],
    ],
    [
      'steps that wait for a failure',
      [
        step('a'),
        step('b', 'exit 0', onFailure),
        step('c', 'exit 1'),
        step('d', 'exit 0', onFailure),
        step('e'),
      ],
      ['failed exit', 'passed', 'skipped', 'failed exit', 'passed', 'skipped'],
    ],
    [
      'a step that runs in any case',
      [step('a', 'exit 1'), step('b', 'exit 0', always)],
      ['failed exit', 'failed exit', 'passed'],
    ],
    [
      'an ignored failure is none for those that wait',
      [step('a', 'exit 1', ignored), step('b', 'exit 0', onFailure)],
      ['passed', 'failed exit', 'skipped'],
    ],
    [
      'the first failure is the reason',
      [step('a', 'disk 1'), step('b', 'exit 1', always)],
      ['failed disk', 'failed disk', 'failed exit'],
    ],
    ['out of memory although it exits 0', [step('a', 'oom 0')], ['failed oom', 'failed oom']],
    ['out of memory, ignored', [step('a', 'oom 0', ignored)], ['passed', 'failed oom']],
    ['a full disk', [step('a', 'disk 1')], ['failed disk', 'failed disk']],
    ['too many processes', [step('a', 'pids 0')], ['failed pids', 'failed pids']],
  ];
  test.each(table)('%s', async (_, steps, expected) => expect(await verdicts({ steps })).toEqual(expected));
});

describe('trouble of the platform is errored, never failed', () => {
  const steps: Scene['steps'] = [step('a'), step('b')];
  const throwing = (error: Error) => async () => Promise.reject(error);
  const notRun = ['skipped', 'skipped'];
  const table: readonly (readonly [string, Omit<Scene, 'steps'>, readonly string[]])[] = [
    ['no sandbox', { failures: { open: 'no' } }, ['errored sandbox', 'errored sandbox', 'skipped']],
    ['no container', { failures: { start: 'no' } }, ['errored sandbox', 'errored sandbox', 'skipped']],
    ['a sandbox that ends', { failures: { run: 'no' } }, ['errored sandbox', 'errored sandbox', 'skipped']],
    ['no image', { tools: { resolveImage: throwing(new ImageError('no')) } }, ['errored image', ...notRun]],
    [
      'no reference of an image',
      { tools: { resolveImage: throwing(new ImageReferenceError('no')) } },
      ['errored image', ...notRun],
    ],
    ['no source', { request: { source: throwing(new SourceError('no')) } }, ['errored source', ...notRun]],
    [
      'a bug of ours',
      { request: { source: throwing(new TypeError('no')) } },
      ['errored internal', ...notRun],
    ],
  ];
  test.each(table)('%s', async (_, scene, expected) => {
    expect(await verdicts({ steps, ...scene })).toEqual(expected);
    expect((await play({ steps, ...scene })).record.message).toBe('no');
  });

  test('a sandbox that cannot be destroyed spoils a build that passed, not one that failed', async () => {
    const stubborn = {
      open: (spec: Parameters<ReturnType<typeof fakeDriver>['open']>[0]) => ({
        ...fakeDriver(({ args: [, code] }) => ({ exit: { reason: 'exit', code: Number(code) } })).open(spec),
        destroy: () => Promise.reject(new SandboxError('destroy', 'stuck')),
      }),
    };
    const end = async (words: string) =>
      (await play({ steps: [step('a', words)], tools: { driver: stubborn } })).record;
    expect(await end('exit 0')).toMatchObject({ status: 'errored', reason: 'sandbox', message: 'stuck' });
    expect(await end('exit 1')).toMatchObject({ status: 'failed', reason: 'exit', message: 'stuck' });
  });
});

test('events come in order, and each step ends once', async () => {
  const { events } = await play({
    steps: [step('a', 'print one'), step('b', 'exit 1'), step('c')],
    artifacts: [{ glob: 'nothing', when: 'always' }],
  });
  expect(events).toEqual([
    'step a running',
    'log a one',
    'step a passed',
    'step b running',
    'step b failed',
    'step c skipped',
    "warning artifacts: nothing matches 'nothing'",
  ]);
});

test('the tail of a log that is too long comes after its last step', async () => {
  const { events, record } = await play({
    steps: [step('a', 'print 0123456789'), step('b', 'print abcde')],
    request: { logCapBytes: 12 },
  });
  expect(events).toEqual([
    'step a running',
    'log a 012345678',
    'cut begins',
    'step a passed',
    'step b running',
    'step b passed',
    'cut 3',
    'log b cde',
  ]);
  expect(record.log).toEqual({ bytes: 15, truncated: true, cutBytes: 3 });
});

test('the record says all there is to know', async () => {
  const own: Partial<PlanStep> = { container: { kind: 'own', image: 'node' } };
  const { record } = await play({
    steps: [step('a', 'print hello'), step('b', 'write dist/b 12345', own), step('c', 'exit 3'), step('d')],
    artifacts: [{ glob: 'dist/**', when: 'always' }],
  });
  const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  const ms = expect.any(Number);
  const ran = { startedAt: time, finishedAt: time };
  expect(record).toEqual({
    id: expect.stringMatching(/^[0-9A-HJKMNP-TV-Z]{26}$/),
    status: 'failed',
    reason: 'exit',
    attempt: 1,
    source: { repo: '/repo', ref: 'refs/heads/main' },
    trigger: { kind: 'manual' },
    createdAt: time,
    startedAt: time,
    finishedAt: time,
    timings: { queuedMs: 0, prepareMs: ms, sandboxMs: ms, runMs: ms, collectMs: ms, destroyMs: ms },
    usage: { cpuSeconds: ms, memoryPeakBytes: ms, diskPeakBytes: ms },
    workflows: [
      {
        name: 'ci',
        status: 'failed',
        reason: 'exit',
        ...ran,
        steps: [
          {
            name: 'a',
            status: 'passed',
            exitCode: 0,
            image: { ref: 'debian', digest: 'sha256:debian' },
            ...ran,
          },
          { name: 'b', status: 'passed', exitCode: 0, image: { ref: 'node', digest: 'sha256:node' }, ...ran },
          {
            name: 'c',
            status: 'failed',
            reason: 'exit',
            exitCode: 3,
            image: { ref: 'debian', digest: 'sha256:debian' },
            ...ran,
          },
          { name: 'd', status: 'skipped', because: 'c' },
        ],
      },
    ],
    artifacts: [
      {
        path: 'dist/b',
        size: 5,
        sha256: '5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5',
      },
    ],
    log: { bytes: 5, truncated: false, cutBytes: 0 },
  });
});

test('an image is resolved once, however many steps use it', async () => {
  const asked: string[] = [];
  await play({
    steps: [
      step('a'),
      step('b', 'exit 0', { container: { kind: 'own', image: 'node' } }),
      step('c', 'exit 0', { container: { kind: 'own', image: 'debian' } }),
    ],
    tools: {
      resolveImage: async (ref) => {
        asked.push(ref);
        return image(ref);
      },
    },
  });
  expect(asked).toEqual(['debian', 'node']);
});
