import { expect, test } from 'vitest';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';
import { randomFrom } from '../../random.ts';
import { everything, extended, oddities, replaced } from './mutations.ts';
import { push } from './planned.ts';

const asYaml = `
image: &image bootstrap:bookworm+make
variables: &more [make install, 'echo \${CI_COMMIT_MESSAGE}']
matrix: { A: [1, 2], B: [x] }
when:
  - event: push
    evaluate: 'CI_REPO == "\${CI_REPO}"'
steps:
  - &first
    name: a # comment
    commands: [make, "echo \\"x\\""]
    environment: {A: b, C: 1.10}
    depends_on: []
  - <<: *first
    name: b
    image: *image
    depends_on: [a]
    commands:
      - <<: *more
      - |
        for i in 1 2; do
          echo $i \${A}
        done
  - name: c
    image: plugin:\${A}
    settings: { list: [1, 2], token: { from_secret: t } }
services:
  db: { image: 'postgres:17', ready: { tcp: 5432 } }
timeout: 30m
resources: {cpus: 1.5, memory: 4GiB}
artifacts:
  - dist/**
  - {path: '*.deb', when: always}
`;

const others = ['lint', 'build'].map((name) => ({ file: `${name}.yaml`, text: 'steps: [{ image: a }]' }));

/** Runs planBuild; anything but a plan or a WorkflowError with places is a failure. */
function judge(text: string): 'plan' | 'problems' {
  try {
    const { kind } = planBuild([{ file: 'w.yaml', text }, ...others], push);
    return kind === 'build' ? 'plan' : 'problems';
  } catch (error) {
    const fault = error instanceof WorkflowError ? faultOf(error, text) : 'not a WorkflowError';
    if (fault !== undefined) throw new Error(`${fault}, for ${JSON.stringify(text)}`, { cause: error });
    return 'problems';
  }
}

function faultOf({ problems }: WorkflowError, text: string): string | undefined {
  const lines = text.split('\n').length;
  if (problems.length === 0) return 'no problem';
  for (const { file, line, column, message, hint } of problems) {
    if (file === 'w.yaml' && !(line >= 1 && line <= lines && column >= 1))
      return `no place: ${line}:${column}`;
    if (/undefined|\[object|^$/.test(`${message}${hint ?? ''}`))
      return `a message that says nothing: ${message}`;
  }
  return undefined;
}

test('the files that the mutations start from are right', () => {
  expect(judge(JSON.stringify(everything))).toBe('plan');
  expect(judge(asYaml)).toBe('plan');
});

test('any value at any place gives a plan or problems', { timeout: 60_000 }, () => {
  const seen = { plan: 0, problems: 0 };
  for (const [index, oddity] of oddities.entries()) {
    let place = 0;
    // Some: all of them take a minute on a busy machine, and each place is met by oddities of each kind.
    for (const file of replaced(everything, oddity))
      if ((place++ + index) % 8 === 0) seen[judge(JSON.stringify(file))]++;
  }
  expect(seen.plan).toBeGreaterThan(50);
  expect(seen.problems).toBeGreaterThan(500);
});

test('any key in any map gives a plan or problems', { timeout: 60_000 }, () => {
  for (const key of [
    'services',
    'when',
    'commands',
    'path',
    '__proto__',
    'constructor',
    '',
    '<<',
    'from_secret',
  ]) {
    for (const oddity of [null, 'x', {}]) {
      for (const file of extended(everything, key, oddity)) judge(JSON.stringify(file));
    }
  }
});

test('any mutation of the text gives a plan or problems', { timeout: 60_000 }, () => {
  const next = randomFrom(20_260_801);
  const pieces =
    '- |: |? |&a |*a|*first|<<: |[|]|{|}|"|\'|>|#|~|@|`|${A}|${|$|!!binary |!!int |!<|%YAML 1.1\n|---\n|...\n'.split(
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

test.each<[string, () => string]>([
  ['a million dollars', () => `steps: [{ image: a, commands: "${'${A:-'.repeat(100_000)}" }]`],
  ['deep substitutions', () => `steps: [{ image: "${'${A:-'.repeat(200)}${'}'.repeat(200)}", commands: x }]`],
  [
    'the largest matrix',
    () =>
      `matrix: { A: [${Array.from({ length: 256 }, (_, n) => n).join()}] }\nsteps: [${'{ image: "${A}", commands: x, when: { branch: "a*b*c*${A}" } },'.repeat(100)}]`,
  ],
  [
    'many conditions',
    () =>
      `steps: [{ image: a, commands: x, when: [${'{ evaluate: "CI_REPO contains \\"x\\"" },'.repeat(10_000)}] }]`,
  ],
  [
    'many globs',
    () =>
      `steps: [{ image: a, commands: x, when: { path: [${Array.from({ length: 5000 }, (_, n) => `"**/${n}*{a,b}?"`).join()}] } }]`,
  ],
  [
    'many keys that are not known',
    () => `steps: [{ ${Array.from({ length: 20_000 }, (_, n) => `comands${n}: 1`).join()} }]`,
  ],
])('%s take seconds at most', { timeout: 60_000 }, (_, text) => {
  const before = process.threadCpuUsage().user;
  judge(text());
  expect((process.threadCpuUsage().user - before) / 1e6).toBeLessThan(10);
});
