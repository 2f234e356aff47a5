import { describe, expect, test } from 'vitest';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';
import { push, pushWith, workflowOf, workflowsOf } from './planned.ts';

const steps = [{ image: 'a', commands: 'x' }];
const tag = pushWith({ CI_PIPELINE_EVENT: 'tag', CI_COMMIT_TAG: 'v1', CI_COMMIT_BRANCH: '' });

const namesOf = (files: Readonly<Record<string, object>>, circumstances = push) =>
  workflowsOf(files, circumstances).map(({ name, dependsOn }) => [name, ...dependsOn]);

/** What is wrong with files, one line each, without the directory. */
function problemsOf(files: Readonly<Record<string, string | object>>, circumstances = push): string[] {
  try {
    workflowsOf(files, circumstances);
  } catch (error) {
    if (error instanceof WorkflowError) return error.message.replaceAll('.cofferdam/', '').split('\n');
    throw error;
  }
  return [];
}

describe('workflows of a build', () => {
  test('are those whose conditions hold, in the order of the files', () => {
    const files = {
      b: { steps },
      a: { steps, when: { event: 'push' } },
      c: { steps, when: { event: 'tag' } },
    };
    expect(namesOf(files)).toEqual([['b'], ['a']]);
    expect(namesOf(files, tag)).toEqual([['b'], ['c']]);
  });

  test('wait for each other by the names of their files, with or without being told twice', () => {
    expect(namesOf({ lint: { steps }, deploy: { steps, depends_on: ['lint', 'lint'] } })).toEqual([
      ['lint'],
      ['deploy', 'lint'],
    ]);
    expect(namesOf({ lint: { steps }, deploy: { steps, needs: 'lint' } })).toEqual([
      ['lint'],
      ['deploy', 'lint'],
    ]);
  });

  test('wait for all of a matrix', () => {
    const files = { test: { steps, matrix: { A: [1, 2] } }, deploy: { steps, depends_on: 'test' } };
    expect(namesOf(files)).toEqual([['test (A=1)'], ['test (A=2)'], ['deploy', 'test (A=1)', 'test (A=2)']]);
  });

  test('that wait for one that is left out are left out too, unless that is optional', () => {
    const absent = { steps, when: { event: 'tag' } };
    const optional = { steps, depends_on: [{ name: 'absent', optional: true }, 'lint'] };
    const files = {
      absent,
      lint: { steps },
      needs: { steps, depends_on: 'absent' },
      further: { steps, depends_on: 'needs' },
      optional,
      other: { steps, depends_on: [{ name: 'further', optional: true }] },
      nowhere: { steps, depends_on: [{ name: 'nothing', optional: true }] },
    };
    expect(namesOf(files)).toEqual([['lint'], ['optional', 'lint'], ['other'], ['nowhere']]);
    expect(planBuild([{ file: 'absent.yml', text: JSON.stringify(absent) }], push)).toEqual({
      kind: 'nothing',
      warnings: [],
      leftOut: [{ name: 'absent', why: 'its `when` does not hold' }],
    });
  });

  test('that have no step for this build count as passed: others wait for what these would have waited for', () => {
    const files = {
      first: { steps },
      empty: { steps: [{ ...steps[0], when: { event: 'tag' } }], depends_on: 'first' },
      last: { steps, depends_on: 'empty' },
    };
    expect(namesOf(files)).toEqual([['first'], ['last', 'first']]);
  });

  test('run in the states that `when.status` or the old `runs_on` name', () => {
    const stateOf = (more: object) => workflowOf({ steps, ...more }).when;
    expect(stateOf({})).toEqual(['success']);
    expect(stateOf({ when: { status: 'failure' } })).toEqual(['failure']);
    expect(stateOf({ when: [{ status: ['failure', 'success'] }] })).toEqual(['success', 'failure']);
    expect(stateOf({ runs_on: ['failure', 'success'] })).toEqual(['success', 'failure']);
    expect(stateOf({ runs_on: ['failure'], when: { event: 'push' } })).toEqual(['failure']);
    expect(stateOf({ runs_on: ['failure'], when: { status: 'success' } })).toEqual(['success', 'failure']);
    expect(stateOf({ runs_on: [] })).toEqual(['success']);
  });

  test('are checked also where they are not for this build', () => {
    expect(
      problemsOf({ a: { steps }, b: { steps: [{ image: 'a' }], when: { event: 'tag', brnch: 'x' } } }),
    ).toEqual(["b.yaml:1:48: unknown key 'brnch'; did you mean 'branch'?"]);
  });
});

describe('what cannot be is told with its place', () => {
  test.each<[string, Readonly<Record<string, string | object>>, string[]]>([
    [
      'a workflow that does not exist',
      { lint: { steps }, deploy: `depends_on: [lnt]\nsteps: ${JSON.stringify(steps)}` },
      ["deploy.yaml:1:14: no workflow is called 'lnt'; did you mean 'lint'?"],
    ],
    [
      'one that waits for itself',
      { a: 'depends_on: a\nsteps: [{image: a}]' },
      ["a.yaml:1:13: workflow 'a' waits for itself"],
    ],
    [
      'a circle',
      {
        x: { steps, depends_on: 'a' },
        a: 'depends_on: [b]\nsteps: [{image: a}]',
        b: { steps, depends_on: 'c' },
        c: { steps, depends_on: [{ name: 'a', optional: true }] },
      },
      ['a.yaml:1:14: workflows wait for each other: a → b → c → a'],
    ],
    [
      'the same name twice',
      { ci: { steps }, '.ci': { steps } },
      [".ci.yaml:1:1: this workflow and that of ci.yaml are both called 'ci'; rename one of the files"],
    ],
    [
      'something in several files',
      { b: 'steps: []', a: 'image: 5\nsteps: [{image: a}]\nfoo: 1' },
      [
        'b.yaml:1:8: steps is empty',
        'a.yaml:1:8: image must be an image reference such as node:24 or bootstrap:bookworm+make, not 5',
        expect.stringMatching(
          /^a\.yaml:3:1: unknown key 'foo'; a workflow has image, packages, steps, services, /,
        ),
      ],
    ],
  ])('%s', (_, files, problems) => expect(problemsOf(files)).toEqual(problems));

  test('a condition that cannot be read or judged', () => {
    const text = 'steps: [{image: a}]\nwhen:\n  - event: push\n  - evaluate: CI_REPO + 1\n  - branch: "["\n';
    expect(problemsOf({ a: text })).toEqual([
      expect.stringMatching(/^a\.yaml:4:15: the expression cannot be judged: /),
      "a.yaml:5:13: the pattern '[' has a [ without ]",
    ]);
  });
});

test('warnings tell each thing once, with its place, line after line', () => {
  const text = 'matrix: { A: [1, 2] }\nrunt: &x 1\n'.replace('runt: &x 1\n', 'runs_on: [failure]\n');
  const { warnings } = planBuild(
    [{ file: 'w.yaml', text: `${text}steps: [{ image: a, environment: { B: "\${C}" } }]\n` }],
    push,
  );
  expect(warnings).toEqual([
    { file: 'w.yaml', line: 2, column: 1, message: '`runs_on` is the old name of `when: { status: … }`' },
    expect.objectContaining({ file: 'w.yaml', line: 3, message: '${C} is not known here, and is empty' }),
  ]);
});

test('files can be checked for whatever may happen: every condition holds, every CI variable has a value', () => {
  const text = 'steps: [{ image: "${CI_COMMIT_TAG}", when: { event: tag } }]\nwhen: { branch: x }\n';
  expect(planBuild([{ file: 'w.yaml', text }], undefined)).toMatchObject({
    kind: 'build',
    build: { workflows: [{ steps: [{ container: { image: 'CI_COMMIT_TAG' } }] }] },
    warnings: [],
  });
  expect(problemsOf({ w: text })).toEqual([
    "w.yaml:1:18: steps[0].image must be an image reference such as node:24 or bootstrap:bookworm+make, not ''",
  ]);
  const unset = 'steps: [{ image: a, environment: { A: "${CI_NO_SUCH}" } }]\n';
  expect(planBuild([{ file: 'w.yaml', text: unset }], push).warnings).toEqual([]);
});

test('circles and unknown names are found in linear time', () => {
  const chain = (last: object) => ({
    image: 'a',
    steps: Array.from({ length: 1000 }, (_, n) => ({
      name: `s${n}`,
      commands: 'x',
      ...(n < 999 ? { depends_on: [`s${n + 1}`, `s${Math.min(n + 2, 999)}`] } : last),
    })),
  });
  expect(workflowOf(chain({})).steps).toHaveLength(1000);
  expect(problemsOf({ a: chain({ depends_on: 's0' }) })).toEqual([
    expect.stringMatching(/steps wait for each other: s0 → s1 → s2 → .* → s999 → s0$/),
  ]);
  expect(
    problemsOf({ a: chain({ depends_on: Array.from({ length: 90_000 }, (_, n) => `x${n}`) }) }),
  ).toHaveLength(101);
});
