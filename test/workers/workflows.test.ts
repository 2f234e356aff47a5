import { describe, expect, test } from 'vitest';
import { fakeDriver } from '../../runtime/fake/driver.ts';
import { defaultLimits } from '../../src/limits.ts';
import type { BuildPlan, Plan } from '../../src/workflow/plan.ts';
import { createBudget } from '../../workers/budget.ts';
import { play, type Scene, step, workflow } from './rehearsal.ts';

type Workflows = BuildPlan['workflows'];

const one = (name: string, words: string, options: Partial<Plan> = {}) =>
  workflow(name, [step('a', words)], options);
const playAll = (workflows: Workflows, scene: Partial<Scene> = {}) =>
  play({ steps: [step('a')], ...scene, workflows });

/** `name status`, with whose failure it is for; first of the build. */
async function ends(workflows: Workflows, scene: Partial<Scene> = {}): Promise<readonly string[]> {
  const { record, opened, destroyed } = await playAll(workflows, scene);
  expect(destroyed, 'sandboxes destroyed').toBe(opened);
  const said = record.workflows.map(({ name, status, because }) =>
    because === undefined ? `${name} ${status}` : `${name} ${status} for ${because}`,
  );
  return [record.status, ...said];
}

describe('the workflows of a build', () => {
  test('run side by side, each in a sandbox of its own', async () => {
    const ids: string[] = [];
    const driver = fakeDriver(() => ({ delayMs: 100 }));
    const began = performance.now();
    const { record } = await playAll([one('x', ''), one('y', ''), one('z', '')], {
      tools: {
        driver: {
          open: (spec) => {
            ids.push(spec.id);
            return driver.open(spec);
          },
        },
      },
    });
    expect(performance.now() - began).toBeLessThan(250);
    expect(record.workflows.map(({ name, status }) => `${name} ${status}`)).toEqual([
      'x passed',
      'y passed',
      'z passed',
    ]);
    expect(ids).toEqual([1, 2, 3].map((n) => `${record.id}-1-${n}`));
  });

  test('wait for those that they depend on, and a failure skips what depends on it and nothing else', async () => {
    expect(
      await ends([
        one('deploy', 'exit 0', { dependsOn: ['build', 'lint'] }),
        one('build', 'exit 1'),
        one('lint', 'exit 0'),
        one('docs', 'exit 0', { dependsOn: ['lint'] }),
        one('notify', 'exit 0', { dependsOn: ['build'], when: ['failure'] }),
        one('after', 'exit 0', { dependsOn: ['deploy'], when: ['success', 'failure'] }),
      ]),
    ).toEqual([
      'failed',
      'deploy skipped for build',
      'build failed',
      'lint passed',
      'docs passed',
      'notify passed',
      'after passed',
    ]);
  });

  test('run one after another where the machine has no room for two', async () => {
    let open = 0;
    let most = 0;
    const driver = fakeDriver(() => ({ delayMs: 5 }));
    const { record } = await playAll([one('x', ''), one('y', ''), one('z', '')], {
      tools: {
        budget: createBudget({ cpus: defaultLimits.cpus, memoryBytes: 1e15 }),
        driver: {
          open: (spec) => {
            most = Math.max(most, ++open);
            const sandbox = driver.open(spec);
            return {
              ...sandbox,
              destroy: async () => {
                await sandbox.destroy();
                open--;
              },
            };
          },
        },
      },
    });
    expect(record.status).toBe('passed');
    expect(most).toBe(1);
  });

  test.for<[string, Partial<Plan>, number]>([
    ['its turn', { concurrency: { group: 'group g', limit: 1 } }, 1e3],
    ['room on the machine', {}, defaultLimits.cpus],
  ])('are queued while they wait for %s', async ([, options, cpus]) => {
    const { events } = await playAll([one('x', 'after 5 0', options), one('y', 'exit 0', options)], {
      tools: { budget: createBudget({ cpus, memoryBytes: 1e15 }) },
    });
    const told = events.filter((event) => event.startsWith('workflow '));
    expect(told.filter((event) => event.includes(' x '))).toEqual([
      'workflow x running',
      'workflow x passed',
    ]);
    expect(told.filter((event) => event.includes(' y '))).toEqual(
      ['queued', 'running', 'passed'].map((status) => `workflow y ${status}`),
    );
    expect(told.indexOf('workflow y running')).toBeGreaterThan(told.indexOf('workflow x running'));
  });

  test('are skipped without a turn, and leave it to others when they end', async () => {
    const alone = { concurrency: { group: 'group g', limit: 1 } };
    expect(
      await ends([
        one('x', 'exit 1', alone),
        one('after', 'exit 0', { ...alone, dependsOn: ['x'] }),
        one('y', 'exit 0', alone),
        one('z', 'exit 0', { ...alone, dependsOn: ['y'] }),
      ]),
    ).toEqual(['failed', 'x failed', 'after skipped for x', 'y passed', 'z passed']);
  });

  test('are told of in events, and each chunk of the log has its workflow', async () => {
    const { events } = await playAll([one('x', 'print hello'), one('y', 'exit 0', { dependsOn: ['x'] })]);
    expect(events).toEqual([
      'workflow x running',
      'step x/a running',
      'log x/a hello',
      'step x/a passed',
      'workflow x passed',
      'workflow y running',
      'step y/a running',
      'step y/a passed',
      'workflow y passed',
    ]);
  });

  test('have each its own variables, timeout, and nothing of another’s workspace', async () => {
    const { record, events } = await playAll([
      one('x', 'write file 1', { artifacts: [{ glob: 'file', when: 'always' }] }),
      workflow('y', [step('a', 'env')], {
        dependsOn: ['x'],
        matrix: { GO: '1.24' },
        artifacts: [{ glob: 'file', when: 'always' }],
      }),
      one('z', 'sleep', { timeoutMs: 50 }),
    ]);
    const environment: unknown = JSON.parse(
      events.find((event) => event.startsWith('log y/a {'))?.slice('log y/a '.length) ?? '{}',
    );
    expect(environment).toMatchObject({ CI_WORKFLOW_NAME: 'y' });
    expect(events).toContain("warning artifacts: nothing matches 'file'");
    expect(record).toMatchObject({ status: 'timed_out', reason: 'timeout' });
    expect(record.workflows.map(({ status }) => status)).toEqual(['passed', 'passed', 'timed_out']);
  });
});

describe('what its workflows make of a build', () => {
  const table: readonly (readonly [string, Workflows, Partial<Scene>, readonly string[]])[] = [
    [
      'a failure counts more than trouble of the platform, which another try may not have',
      [one('x', 'nothing'), one('y', 'exit 1')],
      {},
      ['failed', 'x errored', 'y failed'],
    ],
    [
      'a timeout too',
      [one('x', 'nothing'), one('y', 'sleep', { timeoutMs: 20 })],
      {},
      ['timed_out', 'x errored', 'y timed_out'],
    ],
    ['trouble alone', [one('x', 'nothing'), one('y', 'exit 0')], {}, ['errored', 'x errored', 'y passed']],
    [
      'a cancel, whatever had ended before',
      [one('x', 'exit 1'), one('y', 'sleep'), one('z', 'exit 0', { dependsOn: ['y'] })],
      { on: (event, abort) => (event === 'workflow x failed' ? abort.request('canceled') : undefined) },
      ['canceled', 'x failed', 'y canceled', 'z skipped'],
    ],
    [
      'a step with `failure: cancel`, which stops the others',
      [
        workflow('x', [step('a', 'after 20 1', { onFailure: 'cancel' })]),
        one('y', 'sleep'),
        one('z', 'exit 0', { dependsOn: ['x'], when: ['failure'] }),
      ],
      {},
      ['failed', 'x failed', 'y canceled', 'z skipped'],
    ],
  ];
  test.each(table)('%s', async (_, workflows, scene, expected) =>
    expect(await ends(workflows, scene)).toEqual(expected),
  );

  test('the message names the workflow', async () => {
    const { record } = await playAll([one('x', 'exit 0'), one('y', 'nothing')]);
    expect(record.message).toBe("workflow 'y': no such program: nothing");
  });
});

describe('artifacts of several workflows', () => {
  const keep = { artifacts: [{ glob: 'dist/**', when: 'success' }] } as const;

  test('are those of all', async () => {
    const { record } = await playAll([one('x', 'write dist/x 1', keep), one('y', 'write dist/y 1', keep)]);
    expect(record.artifacts.map(({ path }) => path)).toEqual(['dist/x', 'dist/y']);
  });

  test('of the same path make the second one fail, which names the first', async () => {
    const { record } = await playAll([
      one('x', 'write dist/same 1', keep),
      one('y', 'write dist/same 2', { ...keep, dependsOn: ['x'] }),
    ]);
    expect(record).toMatchObject({ status: 'failed', reason: 'artifacts' });
    expect(record.message).toBe(
      "workflow 'y': artifacts: workflow 'x' has handed over dist/same already; let each write to a directory of its own",
    );
    expect(record.artifacts).toHaveLength(1);
  });

  test('count together against the caps', async () => {
    const request = { artifactCaps: { files: 1, bytes: 100 } };
    const workflows: Workflows = [
      one('x', 'write dist/x 1', keep),
      one('y', 'write dist/y 1', { ...keep, dependsOn: ['x'] }),
    ];
    expect(await ends(workflows, { request })).toEqual(['failed', 'x passed', 'y failed']);
  });
});

test('a workflow without checkout finds an empty workspace', async () => {
  const specs: unknown[] = [];
  const driver = fakeDriver(() => ({}));
  await playAll([one('x', '', { checkout: 'none' }), one('y', '', { dependsOn: ['x'] })], {
    tools: {
      driver: {
        open: (spec) => {
          specs.push(spec.workspace.sources);
          return driver.open(spec);
        },
      },
    },
  });
  expect(specs).toEqual([[], [import.meta.dirname]]);
});
