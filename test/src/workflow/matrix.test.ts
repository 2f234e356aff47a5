import { describe, expect, test } from 'vitest';
import { problemsOf } from './problems.ts';
import { workflowsOf } from './planned.ts';

const steps = '\nsteps: [{ image: "a:${A}", commands: x }]\n';
const combinationsOf = (matrix: string) =>
  workflowsOf({ ci: `matrix:${matrix}${steps}` }).map((plan) => plan.matrix);

describe('a workflow runs for each combination of its matrix', () => {
  test.each<[string, object[]]>([
    [' { A: [1, 2] }', [{ A: '1' }, { A: '2' }]],
    [
      ' { A: [1, 2], B: [x, y] }',
      [
        { A: '1', B: 'x' },
        { A: '1', B: 'y' },
        { A: '2', B: 'x' },
        { A: '2', B: 'y' },
      ],
    ],
    [
      '\n  A: [1.10, "1.20", yes, true, 0x1F, 007]',
      ['1.10', '1.20', 'yes', 'true', '0x1F', '007'].map((A) => ({ A })),
    ],
    ['\n  include:\n    - { A: 1, B: x }\n    - { A: 2 }', [{ A: '1', B: 'x' }, { A: '2' }]],
    [' { A: [1] }', [{ A: '1' }]],
  ])('%s', (matrix, combinations) => expect(combinationsOf(matrix)).toEqual(combinations));

  test('is called by its values, which steps have as variables and plugins have not', () => {
    const plans = workflowsOf({
      ci: {
        matrix: { GO: ['1.23'], OS: ['a b'] },
        environment: { OS: 'other' },
        steps: [
          { image: 'go:${GO}', commands: 'x' },
          { image: 'p', settings: { go: '${GO}' } },
        ],
        services: [{ name: 'db', image: 'd', environment: { V: '${GO}' } }],
      },
    });
    expect(plans).toMatchObject([
      {
        name: 'ci (GO=1.23, OS=a b)',
        file: 'ci',
        steps: [
          { container: { image: 'go:1.23' }, environment: { GO: '1.23', OS: 'other' } },
          { environment: { PLUGIN_GO: '1.23', OS: 'other' } },
        ],
        services: [{ environment: { V: '1.23', GO: '1.23', OS: 'a b' } }],
      },
    ]);
    expect(plans[0]?.steps[1]?.environment).not.toHaveProperty('GO');
  });

  test('names are on one line and short, and differ all the same', () => {
    const long = 'x'.repeat(1000);
    const [first, second] = workflowsOf({
      ci: { matrix: { A: [`${long}1`, `${long}2`, 'a\nb'] }, steps: [{ image: 'a', commands: 'x' }] },
    }).map(({ name }) => name);
    expect(first).toMatch(/^ci \(A=x{59}…\)$/);
    expect(second).toMatch(/^ci \(A=x{59}…\) \(2\)$/);
  });

  test('conditions compare its values as they are written', () => {
    const file =
      'matrix: { GO: [1.1, 1.10] }\nsteps: [{ image: a }, { image: b, when: { matrix: { GO: 1.10 } } }]\n';
    expect(workflowsOf({ ci: file }).map((plan) => plan.steps.length)).toEqual([1, 2]);
  });

  test('what comes of it may differ: conditions, labels, dependencies', () => {
    const plans = workflowsOf({
      ci: {
        matrix: { platform: ['linux/amd64', 'linux/arm64'] },
        labels: { platform: '${platform}' },
        steps: [
          { image: 'a', commands: 'x' },
          { image: 'a', commands: 'y', when: { matrix: { platform: 'linux/arm*' } } },
        ],
      },
    });
    expect(plans.map(({ labels, steps: { length } }) => [labels['platform'], length])).toEqual([
      ['linux/amd64', 1],
      ['linux/arm64', 2],
    ]);
  });
});

const numbers = (count: number) => `[${Array.from({ length: count }, (_, n) => n).join(', ')}]`;

test.each([
  [
    'too many',
    ` { A: ${numbers(257)} }`,
    ['1:1: the matrix has 257 combinations, more than 256; name the needed ones in `include`'],
  ],
  [
    'far too many',
    ` { A: ${numbers(100)}, B: ${numbers(100)}, C: ${numbers(100)} }`,
    ['1:1: the matrix has 1000000 combinations, more than 256; name the needed ones in `include`'],
  ],
  ['an empty list', ' { A: [] }', ['1:14: matrix.A is empty']],
  ['no list', ' { A: 1 }', ['1:14: matrix.A must be a list of values, not 1']],
  [
    'a list of lists',
    ' { A: [[1]] }',
    ['1:15: matrix.A[0] must be a value (text, number or boolean), not a list'],
  ],
  ['no values', ' {}', ['1:9: matrix is empty']],
  [
    'a bad name',
    ' { A-B: [1] }',
    ["1:11: 'A-B' must be a name of letters, digits and _ that does not begin with a digit"],
  ],
  ['the same twice', ' { A: [1, 1] }', ['1:1: the matrix has A=1 twice; keep one of them']],
  [
    'the same included twice',
    '\n  include:\n    - { A: 1 }\n    - { A: 1 }',
    ['4:7: the matrix has A=1 twice; keep one of them'],
  ],
  [
    'an include that is none',
    ' { include: [A] }',
    ["1:21: matrix.include[0] must be a combination, not 'A'"],
  ],
])('a matrix with %s is refused', (_, matrix, problems) => {
  expect(problemsOf(`matrix:${matrix}${steps}`)).toEqual(problems);
});

test('a long file takes few combinations', () => {
  const text = `matrix: { A: ${numbers(200)} }\nvariables: ${numbers(5000)}${steps}`;
  expect(problemsOf(text)).toEqual([
    '1:1: the workflow files come to more than 500,000 values, each combination of a matrix counted; take some out',
  ]);
});
