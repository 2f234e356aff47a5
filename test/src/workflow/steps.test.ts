import { describe, expect, test } from 'vitest';
import { withSecret } from '../../../src/workflow/settings.ts';
import { pushWith, workflowOf } from './planned.ts';
import { problemsOf } from './problems.ts';

const tag = pushWith({ CI_PIPELINE_EVENT: 'tag' });
const never = { event: 'tag' };

/** Names of the steps of a workflow, and what each waits for. */
const graphOf = (steps: object[] | object, circumstances?: typeof tag) =>
  workflowOf({ image: 'a', steps }, circumstances).steps.map(({ name, dependsOn }) => [name, ...dependsOn]);

const stepOf = (step: object, top: object = { image: 'a' }) => workflowOf({ ...top, steps: [step] }).steps[0];

describe('the order of steps', () => {
  const commands = 'x';

  test('is that of the file, without those that are not for this build', () => {
    const steps = [
      { name: 'a', commands },
      { name: 'b', commands, when: never },
      { name: 'c', commands },
    ];
    expect(graphOf(steps)).toEqual([['a'], ['c', 'a']]);
    expect(graphOf(steps, tag)).toEqual([['a'], ['b', 'a'], ['c', 'b']]);
  });

  test('is a graph as soon as one step says what it waits for', () => {
    const steps = {
      deploy: { commands, depends_on: ['build', 'test'] },
      build: { commands },
      test: { commands, needs: { name: 'build' }.name },
    };
    expect(graphOf(steps)).toEqual([['deploy', 'build', 'test'], ['build'], ['test', 'build']]);
    expect(
      graphOf([
        { name: 'a', commands },
        { name: 'b', commands, depends_on: [] },
      ]),
    ).toEqual([['a'], ['b']]);
  });

  test('is no graph when the step that says so is not for this build', () => {
    const steps = [
      { name: 'a', commands },
      { name: 'b', commands },
      { name: 'c', commands, depends_on: [], when: never },
    ];
    expect(graphOf(steps)).toEqual([['a'], ['b', 'a']]);
  });

  test('leaves out what is optional and not there', () => {
    const optional = (name: string) => ({ name, optional: true });
    const steps = [
      { name: 'a', commands, when: never },
      { name: 'b', commands, depends_on: [optional('a'), optional('nothing')] },
    ];
    expect(graphOf(steps)).toEqual([['b']]);
    expect(graphOf(steps, tag)).toEqual([['a'], ['b', 'a']]);
  });

  test('gives steps without a name, and those of one name, names of their own', () => {
    const names = (...steps: object[]) =>
      graphOf(steps.map((step) => ({ ...step, commands }))).map(([name]) => name);
    expect(names({}, { name: 'x' }, {})).toEqual(['step-1', 'x', 'step-3']);
    expect(names({ name: 'x' }, { name: 'x' }, { name: 'x (2)' }, { name: 'x' })).toEqual([
      'x',
      'x (3)',
      'x (2)',
      'x (4)',
    ]);
  });

  test.each([
    ['itself', '[{name: a, commands: x, depends_on: [a]}]', "2:45: step 'a' waits for itself"],
    [
      'a circle',
      '[{name: a, commands: x, depends_on: b}, {name: b, commands: x, depends_on: [c]}, {name: c, commands: x, needs: [a]}]',
      '2:44: steps wait for each other: a → b → c → a',
    ],
    [
      'nothing',
      '[{name: a, commands: x, depends_on: [b]}]',
      "2:45: no step is called 'b'; did you mean 'a'?",
    ],
    [
      'both ways at once',
      '[{name: a, commands: x}, {name: b, commands: x, depends_on: a, needs: a}]',
      '2:71: depends_on and needs do not go together; they are the same; keep one',
    ],
  ])('cannot wait for %s', (_, steps, problem) => {
    expect(problemsOf(`image: a\nsteps: ${steps}\n`)).toEqual([problem]);
  });

  test('cannot wait for a step that is not for this build, unless that is optional', () => {
    const steps = [
      { name: 'a', commands, when: never },
      { name: 'b', commands, depends_on: ['a'] },
    ];
    expect(() => graphOf(steps)).toThrow(
      "step 'b' waits for 'a', whose `when` does not hold in this build; write { name: a, optional: true }, or the same `when`",
    );
    expect(graphOf(steps, tag)).toEqual([['a'], ['b', 'a']]);
  });
});

describe('what a step runs', () => {
  test.each<[string, object, object]>([
    ['commands', { commands: ['a', 'b'] }, { kind: 'commands', commands: ['a', 'b'] }],
    ['a script', { script: 'a' }, { kind: 'commands', commands: ['a'] }],
    ['a program', { entrypoint: 'serve' }, { kind: 'exec', args: ['serve'] }],
    ['a program with arguments', { entrypoint: ['serve', '-v'] }, { kind: 'exec', args: ['serve', '-v'] }],
    ['what its image runs', {}, { kind: 'image' }],
    ['a plugin', { settings: { a: 1 } }, { kind: 'image' }],
  ])('%s', (_, step, run) => expect(stepOf({ image: 'b', ...step }).run).toEqual(run));

  test('a program gets commands as a script in CI_SCRIPT', () => {
    const { run, environment } = stepOf({ image: 'b', entrypoint: ['bash', '-c', 'x'], commands: 'make' });
    expect(run).toEqual({ kind: 'exec', args: ['bash', '-c', 'x'] });
    expect(Buffer.from(environment['CI_SCRIPT'] ?? '', 'base64').toString()).toContain('\nmake\n');
  });

  test.each([
    [
      '{ commands: x, script: x }',
      '2:24: commands and script do not go together; they are the same; keep one',
    ],
    [
      '{ image: p, commands: x, settings: {} }',
      '2:21: settings and commands do not go together; settings are for the own entrypoint of an image (a plugin)',
    ],
    [
      '{ image: p, entrypoint: x, settings: {} }',
      '2:21: settings and entrypoint do not go together; settings are for the own entrypoint of an image (a plugin)',
    ],
    ['{ name: n }', "2:9: step 'n' has no commands; add `commands:`"],
    ['{ name: n, settings: {} }', "2:9: step 'n' has no commands; add `commands:`"],
    ['{ image: p, timeout: 0s }', '2:30: timeout must be 1s to 168h, not 0s'],
    [
      '{ image: p, commands: [ <<: { a: b } ] }',
      "2:33: steps[0].commands[0] must be a command such as make test, not a map; a colon and a space make a map: put the whole command in quotes, or write it after '- |'",
    ],
  ])('%s is refused', (step, problem) =>
    expect(problemsOf(`image: a\nsteps: [${step}]\n`)).toEqual([problem]),
  );
});

test.each<[object, object]>([
  [{}, { mode: 'foreground', directory: '.', pull: 'missing', onFailure: 'fail', artifacts: [] }],
  [{ detach: true }, { mode: 'detached', container: { kind: 'own', image: 'a' } }],
  [{ detach: false }, { mode: 'foreground', container: { kind: 'shared' } }],
  [{ directory: './sub/dir/' }, { directory: 'sub/dir' }],
  [{ directory: '/' }, { directory: '/' }],
  [{ directory: '/opt/' }, { directory: '/opt' }],
  [{ pull: true }, { pull: 'always' }],
  [{ failure: 'cancel' }, { onFailure: 'cancel' }],
  [{ timeout: '90s' }, { timeoutMs: 90_000 }],
  [
    { artifacts: ['a', { path: 'b', when: 'always' }] },
    {
      artifacts: [
        { glob: 'a', when: 'success' },
        { glob: 'b', when: 'always' },
      ],
    },
  ],
])('a step with %j', (more, step) => expect(stepOf({ commands: 'x', ...more })).toMatchObject(step));

describe('settings of a plugin', () => {
  const settingsOf = (yaml: string) => workflowOf(`steps:\n  - image: p\n    settings:\n${yaml}\n`).steps[0];

  test.each<[string, Readonly<Record<string, string>>]>([
    ['my-key.sub: x', { PLUGIN_MY_KEY_SUB: 'x' }],
    ['anInt: 1.10', { PLUGIN_ANINT: '1.10' }],
    ['flag: true', { PLUGIN_FLAG: 'true' }],
    ['nothing: ~', { PLUGIN_NOTHING: '' }],
    ['list: [a, 1.10, true]', { PLUGIN_LIST: 'a,1.10,true' }],
    ['list: []', { PLUGIN_LIST: '' }],
    ['map: { a: 1, b: [x, { c: ~ }] }', { PLUGIN_MAP: '{"a":1,"b":["x",{"c":null}]}' }],
    ['list: [a, { b: c }]', { PLUGIN_LIST: '["a",{"b":"c"}]' }],
  ])('%s', (yaml, environment) => expect(settingsOf(`      ${yaml}`).environment).toEqual(environment));

  test('take secrets, also deep within', () => {
    const { environment, secrets, container } = settingsOf(`
      token: { from_secret: t }
      deep: { user: { from_secret: u }, list: [{ from_secret: p }, { from_secret: u }] }`);
    expect(environment).toEqual({});
    expect(container).toEqual({ kind: 'own', image: 'p' });
    expect(secrets.map(({ secret }) => secret)).toEqual(['t', 'u', 'p']);
    expect(secrets[0]).toEqual({ kind: 'variable', variable: 'PLUGIN_TOKEN', secret: 't' });
    const values: Readonly<Record<string, string>> = { u: 'ada "a"', p: '$& \\ {"x"}' };
    let json = secrets[1]?.kind === 'json' ? secrets[1].template : '';
    for (const secret of ['u', 'p']) json = withSecret(json, secret, values[secret] ?? '');
    expect(JSON.parse(json)).toEqual({ user: values['u'], list: [values['p'], values['u']] });
  });

  test.each([
    ['a: { from_secret: x, b: 1 }', "4:30: unknown key 'b'; a secret has from_secret"],
    [
      'a: [1, { from_secret: [x] }]',
      '4:16: steps[0].settings.a.from_secret must be a name of a secret such as deploy_token',
    ],
    ['a: { fromsecret: x }', "4:14: unknown key 'fromsecret'; did you mean 'from_secret'?"],
    ['a b: x', "4:9: 'a b' must be a name of letters, digits, _, - and ."],
  ])('%s is refused', (yaml, problem) => {
    expect(problemsOf(`steps:\n  - image: p\n    settings:\n      ${yaml}\n`)).toEqual([
      expect.stringContaining(problem.replace(/^4:\d+/, '')),
    ]);
  });

  test('and environment beside them are doubtful', () => {
    expect(stepOf({ image: 'p', settings: { a: 1 }, environment: { B: 2 } }).environment).toEqual({
      PLUGIN_A: '1',
      B: '2',
    });
  });
});
