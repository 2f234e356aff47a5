import { describe, expect, test } from 'vitest';
import { defaultLimits } from '../../../src/limits.ts';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { planDefaults } from '../../../src/workflow/plan.ts';
import { workflowOf } from './planned.ts';

const minimal = { image: 'debian:12', steps: [{ commands: ['make'] }] };

describe('a workflow file becomes a plan', () => {
  test('with every default filled in', () => {
    expect(workflowOf('image: debian:12\nsteps:\n  - commands: make\n')).toEqual({
      name: 'ci',
      file: 'ci',
      image: 'debian:12',
      steps: [
        {
          name: 'step-1',
          dependsOn: [],
          container: { kind: 'shared' },
          run: { kind: 'commands', commands: ['make'] },
          mode: 'foreground',
          directory: '.',
          pull: 'missing',
          environment: {},
          secrets: [],
          onFailure: 'fail',
          when: ['success'],
          artifacts: [],
        },
      ],
      matrix: {},
      dependsOn: [],
      when: ['success'],
      services: [],
      caches: [],
      timeoutMs: 3_600_000,
      limits: defaultLimits,
      network: planDefaults.network,
      labels: {},
      retry: { max: 2 },
      checkout: 'source',
      workspace: '/workspace',
      artifacts: [],
    });
  });

  test.each([
    ['.cofferdam.yaml', 'cofferdam'],
    ['some/dir/.cofferdam.yml', 'cofferdam'],
    ['.cofferdam/lint.yaml', 'lint'],
    ['.woodpecker.yaml', 'woodpecker'],
    ['.woodpecker/a.b.yml', 'a.b'],
  ])('%s is named %s', (file, name) => {
    expect(planBuild([{ file, text: JSON.stringify(minimal) }], undefined)).toMatchObject({
      build: { workflows: [{ name, file: name }] },
    });
  });

  test('steps are a list or a map, in the order of the file', () => {
    const names = (steps: object) => workflowOf({ image: 'a', steps }).steps.map(({ name }) => name);
    const commands = ['true'];
    expect(names([{ commands }, { name: 'test', commands }, { commands }])).toEqual([
      'step-1',
      'test',
      'step-3',
    ]);
    expect(names({ z: { commands }, a: { commands }, m: { name: 'named', commands } })).toEqual([
      'z',
      'a',
      'named',
    ]);
  });

  test('a step with an image of its own has a container of its own, also when the image is the same', () => {
    const commands = 'true';
    const both = workflowOf({ image: 'a', steps: [{ commands }, { image: 'a', commands }] });
    expect(both.image).toBe('a');
    expect(both.steps.map(({ container }) => container)).toEqual([
      { kind: 'shared' },
      { kind: 'own', image: 'a' },
    ]);
    expect(workflowOf({ image: 'a', steps: [{ image: 'b', commands }] }).image).toBeUndefined();
  });

  test('merge keys and anchors work', () => {
    const plan = workflowOf(`
steps:
  - &base
    name: one
    image: a
    commands: &run [make, make check]
    environment: { A: 1, B: 2 }
  - <<: *base
    name: two
    environment: { B: 3 }
  - <<: [{ failure: ignore, image: first }, { image: second, name: three }]
    commands: *run
`);
    expect(plan.steps).toMatchObject([
      { name: 'one', environment: { A: '1', B: '2' } },
      {
        name: 'two',
        container: { image: 'a' },
        environment: { B: '3' },
        run: { commands: ['make', 'make check'] },
      },
      {
        name: 'three',
        container: { image: 'first' },
        onFailure: 'ignore',
        run: { commands: ['make', 'make check'] },
      },
    ]);
    expect(plan.steps[1]?.environment).toEqual({ B: '3' });
  });

  test.each([
    [undefined, ['success']],
    [{}, ['success']],
    [{ status: 'failure' }, ['failure']],
    [{ status: ['failure', 'success'] }, ['success', 'failure']],
    [
      [{ status: 'failure' }, {}],
      ['success', 'failure'],
    ],
    [[{ status: 'failure' }, { status: ['failure'] }], ['failure']],
  ])('when %j the step runs after %j', (when, expected) => {
    expect(workflowOf({ image: 'a', steps: [{ commands: 'x', when }] }).steps[0].when).toEqual(expected);
  });

  test.each([
    ['30m', 30 * 60_000],
    ['1h30m', 90 * 60_000],
    ['90s', 90_000],
    ['1h1m1s', 3_661_000],
    ['168h', 168 * 3_600_000],
  ])('timeout %s is %d ms', (timeout, milliseconds) => {
    expect(workflowOf({ ...minimal, timeout }).timeoutMs).toBe(milliseconds);
  });

  test.each([
    ['4GiB', 4 * 2 ** 30],
    ['512MiB', 2 ** 29],
    ['2GB', 2e9],
    ['1.5 GiB', 1.5 * 2 ** 30],
    ['0.1GiB', 107_374_182],
    ['100000000', 1e8],
    [100_000_000, 1e8],
    ['100000000B', 1e8],
  ])('memory %s is %d bytes', (memory, bytes) => {
    expect(workflowOf({ ...minimal, resources: { memory } }).limits).toEqual({
      ...defaultLimits,
      memoryBytes: bytes,
    });
  });

  test('limits are taken over, down to the least', () => {
    const resources = { cpus: 0.01, memory: '32MiB', disk: '1MiB', pids: 8 };
    expect(workflowOf({ ...minimal, resources }).limits).toEqual({
      ...defaultLimits,
      cpus: 0.01,
      memoryBytes: 32 * 2 ** 20,
      diskBytes: 2 ** 20,
      pids: 8,
    });
  });

  test.each<[unknown, object[]]>([
    ['*.deb', [{ glob: '*.deb', when: 'success' }]],
    [
      ['a', './b/**'],
      [
        { glob: 'a', when: 'success' },
        { glob: 'b/**', when: 'success' },
      ],
    ],
    [{ path: 'a', when: 'always' }, [{ glob: 'a', when: 'always' }]],
    [
      [{ paths: ['a', '{1..3}.txt'], when: 'failure' }, 'c'],
      [
        { glob: 'a', when: 'failure' },
        { glob: '{1..3}.txt', when: 'failure' },
        { glob: 'c', when: 'success' },
      ],
    ],
    [[], []],
  ])('artifacts %j', (artifacts, expected) => {
    expect(workflowOf({ ...minimal, artifacts }).artifacts).toEqual(expected);
  });
});

describe('environment', () => {
  const environmentOf = (yaml: string) =>
    workflowOf(`image: a\nsteps: [{commands: x}]\nenvironment:\n${yaml}`).steps[0].environment;

  test('values are text; numbers keep their spelling, null is empty', () => {
    const yaml = `
  VERSION: 1.10
  MODE: 0755
  HEX: 0x10
  LARGE: 123456789012345678901
  YES: true
  NO: False
  NONE: ~
  EMPTY:
  TEXT: a=b "c"
  __proto__: own
`;
    expect(Object.entries(environmentOf(yaml))).toEqual([
      ['VERSION', '1.10'],
      ['MODE', '0755'],
      ['HEX', '0x10'],
      ['LARGE', '123456789012345678901'],
      ['YES', 'true'],
      ['NO', 'false'],
      ['NONE', ''],
      ['EMPTY', ''],
      ['TEXT', 'a=b "c"'],
      ['__proto__', 'own'],
    ]);
  });

  test('is read as YAML 1.2 whatever version the file says', () => {
    const plan = workflowOf('%YAML 1.1\n---\nimage: a\nsteps: [{commands: x, environment: {A: yes}}]\n');
    expect(plan.steps[0].environment).toEqual({ A: 'yes' });
  });

  test('may be a list', () => {
    expect(environmentOf('  - A=1\n  - B=\n  - C=x=y\n')).toEqual({ A: '1', B: '', C: 'x=y' });
  });

  test("a step's own wins over the workflow's", () => {
    const steps = [{ commands: 'x', environment: ['B=3'] }, { commands: 'x' }];
    const plan = workflowOf({ image: 'a', environment: { A: 1, B: 2 }, steps });
    expect(plan.steps.map(({ environment }) => environment)).toEqual([
      { A: '1', B: '3' },
      { A: '1', B: '2' },
    ]);
  });
});
