import { expect, test } from 'vitest';
import { parseWorkflow } from '../../../src/workflow/parse.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';

/** mulberry32: the same numbers for the same seed, so that a failure can be repeated. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const valid = {
  image: 'bootstrap:bookworm+make',
  steps: [
    { name: 'a', image: 'node:24', commands: ['make'], environment: { A: 'b', C: 1 }, failure: 'ignore' },
    { commands: 'make check', when: [{ status: ['success', 'failure'] }], environment: ['A=b'] },
  ],
  environment: { CI: true, NONE: null },
  timeout: '30m',
  resources: { cpus: 1.5, memory: '4GiB', disk: 10_000_000_000, pids: 100 },
  network: 'none',
  artifacts: ['dist/**', { path: ['*.deb'], when: 'always' }],
};

const asYaml = `
image: &image bootstrap:bookworm+make
steps:
  - &first
    name: a # comment
    commands: [make, "echo \\"x\\""]
    environment: {A: b, C: 1.10}
  - <<: *first
    name: b
    image: *image
    commands: |
      for i in 1 2; do
        echo $i
      done
timeout: 30m
resources: {cpus: 1.5, memory: 4GiB}
artifacts:
  - dist/**
  - {path: '*.deb', when: always}
`;

const scalars = [null, true, 0, -1, 1.5, 1e300, Number.MAX_SAFE_INTEGER];
const texts = [
  ...'.. / ! { [ * none egress 0s 999999999h 9TiB 1e9 __proto__ constructor toString'.split(' '),
  '',
  ' ',
  '\0',
  '\ud800',
  'x'.repeat(5000),
];
const lists = [[], [[]], [{}], [null, [null]]];
const maps = [
  {},
  { '': '' },
  { status: {} },
  { path: {} },
  { allow: [] },
  { from_secret: 'a' },
  { $ref: '#' },
];
const oddities = [...scalars, ...texts, ...lists, ...maps, JSON.parse('{"__proto__": {"steps": []}}')];

/** Runs parseWorkflow; anything but a plan or a WorkflowError with places is a failure. */
function judge(text: string): 'plan' | 'problems' {
  try {
    expect(parseWorkflow(text, 'w.yaml').steps.length).toBeGreaterThan(0);
    return 'plan';
  } catch (error) {
    if (!(error instanceof WorkflowError))
      throw new Error(`not a WorkflowError for ${JSON.stringify(text)}`, { cause: error });
    expect(error.problems.length).toBeGreaterThan(0);
    const lines = text.split('\n').length;
    for (const { line, column, message } of error.problems) {
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(lines);
      expect(column).toBeGreaterThanOrEqual(1);
      expect(message).not.toMatch(/undefined|\[object|^$/);
    }
    return 'problems';
  }
}

/** Every copy of `value` in which one part is replaced by `other`. */
function* replaced(value: unknown, other: unknown): Generator {
  yield other;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      for (const each of replaced(item, other)) yield value.with(index, each);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      for (const each of replaced(item, other)) yield { ...value, [key]: each };
    }
  }
}

/** Every copy of `value` with one map that has one key more. */
function* extended(value: unknown, key: string, other: unknown): Generator {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      for (const each of extended(item, key, other)) yield value.with(index, each);
    }
  } else if (typeof value === 'object' && value !== null) {
    yield { ...value, [key]: other };
    for (const [own, item] of Object.entries(value)) {
      for (const each of extended(item, key, other)) yield { ...value, [own]: each };
    }
  }
}

test('the files that the mutations start from are right', () => {
  expect(judge(JSON.stringify(valid))).toBe('plan');
  expect(judge(asYaml)).toBe('plan');
});

test('any value at any place gives a plan or problems', () => {
  const seen = { plan: 0, problems: 0 };
  for (const oddity of oddities) {
    for (const file of replaced(valid, oddity)) seen[judge(JSON.stringify(file))]++;
  }
  expect(seen.plan).toBeGreaterThan(50);
  expect(seen.problems).toBeGreaterThan(500);
});

test('any key in any map gives a plan or problems', () => {
  for (const key of [
    'services',
    'when',
    'commands',
    'path',
    '__proto__',
    'constructor',
    '',
    '<<',
    'a b',
    'from_secret',
  ]) {
    for (const oddity of [null, 'x', [], {}, 5]) {
      for (const file of extended(valid, key, oddity)) judge(JSON.stringify(file));
    }
  }
});

test('any mutation of the text gives a plan or problems', () => {
  const next = numbers(20_260_801);
  const pieces =
    '- |: |? |&a |*a|*first|<<: |[|]|{|}|"|\'|>|#|~|@|`|!!binary |!!int |!<|%YAML 1.1\n|---\n|...\n'.split(
      '|',
    );
  pieces.push('|', '\n', ' ', '\t', ':', '\r', '\0', '\u2028', '\ufeff', '\ud83d');
  const seen = { plan: 0, problems: 0 };
  for (let round = 0; round < 1500; round++) {
    let text = asYaml;
    for (let change = next(4); change >= 0; change--) {
      const at = next(text.length);
      const piece = next(3) === 0 ? text.slice(next(text.length)).slice(0, 30) : pieces[next(pieces.length)];
      text = text.slice(0, at) + piece + text.slice(at + [0, 0, 1, 10][next(4)]!);
    }
    seen[judge(text)]++;
  }
  expect(seen.plan).toBeGreaterThan(50);
  expect(seen.problems).toBeGreaterThan(500);
});
