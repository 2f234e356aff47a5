import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { shellScript } from '../../../src/workflow/script.ts';
import { pushWith, workflowOf } from './planned.ts';
import { problemsOf } from './problems.ts';

const hostile = [
  '$(touch /tmp/owned)',
  '`id`',
  '"; id; "',
  "'; id; '",
  'a\nsteps: []\n- b: c',
  '*',
  ' -rf / ',
  '\\',
  '${PATH}',
  '$$',
  '{ a: b }',
  '- a',
  'ünï → 🚀',
];

describe('variables are filled into values, never into the text', () => {
  test.each([...hostile, '1.0', 'true', 'null', ''])('%j stays one value wherever it stands', (value) => {
    const file = `
steps:
  - image: a
    environment:
      A: \${CI_COMMIT_MESSAGE}
      B: "b \${CI_COMMIT_MESSAGE} b"
    when:
      evaluate: 'CI_COMMIT_MESSAGE == "\${CI_COMMIT_MESSAGE}"'
labels: { a: b }
`;
    const { steps, labels } = workflowOf(file, pushWith({ CI_COMMIT_MESSAGE: value }));
    expect(steps[0].environment).toEqual({ A: value, B: `b ${value} b` });
    expect(labels).toEqual({ a: 'b' });
  });

  test.each(["' || true || '", '" || true || "', '\\" || true || \\"', '` || true || `', 'a || true'])(
    '%s in an expression is a text',
    (value) => {
      for (const quoted of [
        '"${CI_COMMIT_MESSAGE}"',
        "'${CI_COMMIT_MESSAGE}'",
        '`${CI_COMMIT_MESSAGE}`',
        '${CI_COMMIT_MESSAGE}',
      ]) {
        const when = { evaluate: `${quoted} == "no such thing"` };
        const file = { image: 'a', steps: [{ commands: 'x' }, { commands: 'y', when }] };
        expect(workflowOf(file, pushWith({ CI_COMMIT_MESSAGE: value })).steps).toHaveLength(1);
      }
    },
  );

  test('numbers and booleans become such where they belong, and texts where texts do', () => {
    const file = `
matrix: { N: [3], YES: [true], V: [1.10] }
parallel: \${N}
skip_clone: \${YES}
resources:
  cpus: \${V}
  memory: \${N}GiB
timeout: \${N}m
steps:
  - name: \${N}
    image: \${V}
    commands: x
    detach: \${YES}
    when:
      branch: \${CI_COMMIT_BRANCH}
    environment:
      A: \${V}
`;
    const plan = workflowOf(file, pushWith({ CI_COMMIT_BRANCH: '1.0' }));
    expect(plan).toMatchObject({
      parallel: 3,
      checkout: 'none',
      limits: { cpus: 1.1, memoryBytes: 3 * 2 ** 30 },
      timeoutMs: 180_000,
    });
    expect(plan.steps).toMatchObject([
      { name: '3', container: { image: '1.10' }, mode: 'detached', environment: { A: '1.10' } },
    ]);
  });

  test.each<[string, string]>([
    ['${CI_COMMIT_SHA:0:8}', '3f786850'],
    ['${CI_REPO##acme/}', 'app'],
    ['$${CI_REPO}', '${CI_REPO}'],
    ['${OWN}', 'own main'],
    ['${M}', 'm'],
    ['${CI_NO_SUCH}', ''],
    ['${NO_SUCH}', ''],
    ['${CI_WORKFLOW_NAME}', 'ci'],
    ['$CI_REPO', '$CI_REPO'],
    ['${constructor}', ''],
  ])('%s is %j', (text, value) => {
    const file = {
      matrix: { M: ['m'] },
      environment: { OWN: 'own ${CI_COMMIT_BRANCH}' },
      steps: [{ image: 'a', environment: { RESULT: text } }],
    };
    expect(workflowOf(file).steps[0].environment['RESULT']).toBe(value);
  });
});

/** What a real shell makes of a command. `late`: variables that only the step's environment has. */
function runStep(
  command: string,
  variables: Readonly<Record<string, string>>,
  late: Readonly<Record<string, string>> = {},
): string {
  const matrix = { M: ['one two'], CODE: ['echo a; echo b'] };
  const file = { image: 'a', matrix, steps: [{ commands: command, environment: { FOO: 'foo' } }] };
  const { run, environment } = workflowOf(file, pushWith(variables)).steps[0];
  if (run.kind !== 'commands') throw new Error(run.kind);
  const env = { ...variables, ...environment, ...late, PATH: process.env['PATH'] };
  const output = execFileSync('/bin/sh', ['-c', shellScript(run.commands)], { env, encoding: 'utf8' });
  return output.slice(output.indexOf('\n') + 1);
}

describe('in commands no value of the build is a command', () => {
  test.each(hostile)('%j comes out as it is', (value) => {
    for (const command of ['printf %s "${CI_COMMIT_MESSAGE}"', 'printf %s "x${CI_COMMIT_MESSAGE}"']) {
      const variables = { CI_COMMIT_MESSAGE: value };
      expect(runStep(command, variables)).toBe(command.includes('x$') ? `x${value}` : value);
    }
  });

  test('also after string operations', () => {
    const variables = { CI_COMMIT_MESSAGE: 'fix: $(id)', CI_COMMIT_BRANCH: 'a;id' };
    expect(runStep('printf %s "${CI_COMMIT_MESSAGE##fix: } ${CI_COMMIT_BRANCH^^}"', variables)).toBe(
      '$(id) A;ID',
    );
  });

  test('harmless values stand in the command itself, where also single quotes take them', () => {
    const { run, environment } = workflowOf({
      image: 'a',
      steps: [{ commands: "echo '${CI_COMMIT_BRANCH}'" }],
    }).steps[0];
    expect(run).toEqual({ kind: 'commands', commands: ["echo 'main'"] });
    expect(environment).toEqual({});
  });

  test('what the file itself says is put in as it is, also commands', () => {
    expect(runStep('${CODE}', {})).toBe('a\nb\n');
    expect(runStep('printf "%s-" ${M}', {})).toBe('one-two-');
  });

  test('names that are not ours stay for the shell, as do those that are known when the step runs', () => {
    const command = 'BAR=bar; echo ${FOO} ${BAR} ${FOO%o} $FOO $$FOO ${CI_STEP_NAME}';
    expect(runStep(command, {}, { CI_STEP_NAME: 'late' })).toBe('foo bar fo foo foo late\n');
    expect(runStep('echo ${CI_WORKSPACE}', { CI_WORKSPACE: '/early' }, { CI_WORKSPACE: '/late' })).toBe(
      '/late\n',
    );
    expect(runStep('echo "[${CI_COMMIT_TAG:0:3}]" $${FOO}', {})).toBe('[] foo\n');
  });

  test('a secret of the name of a variable is not shown for it', () => {
    const file = {
      image: 'a',
      steps: [
        { commands: 'echo "${CI_COMMIT_MESSAGE}"', environment: { CI_COMMIT_MESSAGE: { from_secret: 's' } } },
      ],
    };
    const { run, environment } = workflowOf(file, pushWith({ CI_COMMIT_MESSAGE: 'a b' })).steps[0];
    expect(run).toEqual({ kind: 'commands', commands: ['echo "${COFFERDAM_VALUE_1}"'] });
    expect(environment).toEqual({ COFFERDAM_VALUE_1: 'a b' });
  });

  test('an entrypoint that runs text is treated alike, and another gets the value', () => {
    const entrypoint = (...words: string[]) =>
      workflowOf({ steps: [{ image: 'a', entrypoint: words }] }, pushWith({ CI_COMMIT_MESSAGE: '$(id)' }))
        .steps[0].run;
    expect(entrypoint('bash', '-ec', 'echo "${CI_COMMIT_MESSAGE}"')).toEqual({
      kind: 'exec',
      args: ['bash', '-ec', 'echo "${CI_COMMIT_MESSAGE}"'],
    });
    expect(entrypoint('tell', '--about', '${CI_COMMIT_MESSAGE}')).toEqual({
      kind: 'exec',
      args: ['tell', '--about', '$(id)'],
    });
  });
});

test('a value that cannot be where it is put is told at its place', () => {
  expect(problemsOf('matrix: { I: ["a b"] }\nsteps:\n  - image: ${I}\n    commands: x\n')).toEqual([
    "3:12: steps[0].image must be an image reference such as node:24 or bootstrap:bookworm+make, not 'a b'",
  ]);
});
