import { describe, expect, test } from 'vitest';
import { ImageError } from '../../runtime/images/image.ts';
import { ImageReferenceError } from '../../runtime/images/reference.ts';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import { SandboxError } from '../../runtime/sandbox.ts';
import { type ArtifactStore, ArtifactStoreError } from '../../src/artifacts.ts';
import type { PlanStep } from '../../src/workflow/plan.ts';
import { SourceError } from '../../workers/source.ts';
import { image, play, type Scene, step } from './rehearsal.ts';

const ignored: Partial<PlanStep> = { onFailure: 'ignore' };
const onFailure: Partial<PlanStep> = { when: ['failure'] };
const always: Partial<PlanStep> = { when: ['success', 'failure'] };

/** `status reason` of the build, then of each step. */
async function verdicts(scene: Scene): Promise<string[]> {
  const { record, opened, destroyed } = await play(scene);
  expect(destroyed, 'sandboxes destroyed').toBe(opened);
  const steps = record.workflows.flatMap((workflow) => workflow.steps);
  expect(record.workflows.map(({ status }) => status)).toEqual([record.status]);
  return [record, ...steps].map(({ status, reason }) => (reason ? `${status} ${reason}` : status));
}

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

describe('a step has the environment', () => {
  const environmentOf = async (scene: Scene): Promise<Record<string, string>> => {
    const { events } = await play(scene);
    const shown = events.find((event) => event.startsWith('log a {')) ?? 'log a {}';
    return JSON.parse(shown.slice('log a '.length));
  };

  test('of its image, its own, and of CI; later ones win, and nothing of ours is there', async () => {
    const own = { FROM_IMAGE: 'no', CI_WORKSPACE: 'elsewhere', CI_VERBOSE: '1', HOME: '/home' };
    const environment = await environmentOf({ steps: [step('a', 'env', { environment: own })] });
    expect(environment).toMatchObject({
      PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
      HOME: '/home',
      FROM_IMAGE: 'no',
      CI: 'true',
      CI_WORKSPACE: '/workspace',
      CI_VERBOSE: '1',
      CI_COMMIT_BRANCH: 'main',
    });
    const others = ['PATH', 'HOME', 'FROM_IMAGE', 'CI', 'COFFERDAM_BUILD_ID'];
    expect(
      Object.keys(environment).filter((name) => !name.startsWith('CI_') && !others.includes(name)),
    ).toEqual([]);
  });

  test('with the secrets that it names, and no others', async () => {
    const secrets = [{ kind: 'variable', variable: 'TOKEN', secret: 'deploy' } as const];
    const request = {
      secrets: new Map([
        ['deploy', 'first-value'],
        ['other', 'second-value'],
      ]),
    };
    const environment = await environmentOf({
      request,
      steps: [
        step('a', 'env', { secrets: [{ kind: 'variable', variable: 'OTHER', secret: 'other' }] }),
        step('b', 'env', { secrets }),
      ],
    });
    expect(environment['OTHER']).toBe('********');
    expect(environment).not.toHaveProperty('TOKEN');
  });
});

describe('the secrets of a build', () => {
  const request = { secrets: new Map([['key', 'line one\nline two\n']]) };
  const secrets = [{ kind: 'file', file: 'id', secret: 'key' } as const];

  test('reach the step that names them as files', async () => {
    const seen: unknown[] = [];
    const driver = fakeDriver(({ secrets: files }) => {
      seen.push(files);
      return {};
    });
    await play({ request, tools: { driver }, steps: [step('a'), step('b', 'exit 0', { secrets })] });
    expect(seen).toEqual([{}, { id: 'line one\nline two\n' }]);
  });

  test('are masked in the output of all steps, also of those that do not name them', async () => {
    const { events } = await play({
      request,
      steps: [step('a', 'secrets', { secrets }), step('b', 'print two')],
    });
    const driver = fakeDriver(() => ({ output: ['a line o', 'ne b ', 'line'] }));
    const split = await play({ request, tools: { driver }, steps: [step('a')] });
    expect(events).toContain('log a {"id":"********"}');
    expect(split.events.filter((event) => event.startsWith('log'))).toEqual([
      'log a a ',
      'log a ******** b ',
      'log a line',
    ]);
  });

  test('are masked in messages', async () => {
    const resolveImage = () => Promise.reject(new ImageError('cannot pull line one'));
    const { record } = await play({ request, steps: [step('a')], tools: { resolveImage } });
    expect(record.message).toBe('cannot pull ********');
  });
});
