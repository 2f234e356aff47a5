import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { planBuild } from '../../../src/workflow/build-plan.ts';
import type { BuildCircumstances } from '../../../src/workflow/conditions.ts';
import { WorkflowError } from '../../../src/workflow/problem.ts';
import { mutateText, oddities, oneOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const root = join(import.meta.dirname, '../../..');
const ours = ['hello', 'node', 'debian-package'].map((name) =>
  readFileSync(join(root, 'examples', name, '.cofferdam.yaml'), 'utf8'),
);
/** With every part of the language. */
const rich = `
image: &image bootstrap:bookworm+make
timeout: 30m
resources: {cpus: 1.5, memory: 4GiB, disk: 10GiB, pids: 100}
network: { allow: [packages.example.org, '*.example.net:8443'] }
labels: {arch: amd64}
depends_on: [other]
runs_on: [success, failure]
when: {event: [push, tag], branch: {include: [main, 'release/**'], exclude: '*-wip'}}
matrix: {NODE: [22, 24], include: [{NODE: 24, OS: "\${OS:-linux}"}]}
environment: {A: b, C: 1.10, D: "\${CI_COMMIT_SHA:0:8}"}
clone: {depth: 1}
services:
  - name: db
    image: postgres:\${NODE}
    environment: [A=b, "B=\${A##x}"]
    ready: {command: pg_isready -h localhost}
steps:
  - &first
    name: a # comment
    commands: [make, "echo \\"x\\" \${CI_COMMIT_BRANCH}"]
    environment: {A: b, TOKEN: {from_secret: token}}
  - <<: *first
    name: b
    image: *image
    depends_on: a
    when: [{evaluate: 'CI_PIPELINE_EVENT == "push" && "\${A}" contains "b"'}, {path: ['src/**', '!*.md']}]
    failure: ignore
    commands: |
      for i in 1 2; do
        echo $i
      done
caches: [{name: npm, path: /root/.npm, key: [package-lock.json]}]
artifacts:
  - dist/**
  - {path: '*.deb', when: always}
`;
const texts = [...ours, rich, rich];

const pieces = [
  words(
    '&a *a *image <<: [ ] { } " \' > # ~ @ ` | , : ${ } ${A} ${CI_X:- $$ null 1e999 -1 0x7fffffffffffffff',
  ),
  words('.inf !< 2001-01-01 - ? : !!binary !!int steps: when: matrix: depends_on: __proto__:').map(
    (each) => `${each} `,
  ),
  ['\n  ', '&a [*a]', '%YAML 1.1\n', '---\n', '...\n'],
  oddities,
].flat();

const circumstances: BuildCircumstances = {
  variables: {
    CI_PIPELINE_EVENT: 'push',
    CI_COMMIT_BRANCH: 'main',
    CI_COMMIT_SHA: 'a'.repeat(40),
    A: '${A}"\'',
  },
  platform: 'linux/amd64',
  cron: undefined,
  changed: ['src/a', 'b.md'],
  where: 'service',
};

/** Workflow files, from YAML to plan. */
export const workflows: Target<string> = {
  name: 'workflows',
  promise: 'any text gives a plan, or problems that each have a place in it and words for it',
  rounds: 1500,
  outcomes: ['plan', 'problems'],
  cases: ['matrix: {A: [{}]}'],
  open: () => ({
    make: (random) => mutateText(random, oneOf(random, texts), pieces),
    check: (text) => {
      const outcomes = [undefined, circumstances].map((given) => planned(text, given));
      return outcomes.includes('plan') ? 'plan' : 'problems';
    },
  }),
};

function planned(text: string, given: BuildCircumstances | undefined): string {
  try {
    const result = planBuild([{ file: '.cofferdam/w.yaml', text }], given);
    return result.kind === 'build' ? 'plan' : 'nothing';
  } catch (error) {
    if (!(error instanceof WorkflowError)) throw error;
    const lines = text.split('\n');
    if (error.problems.length === 0) throw new Error('no problem is told', { cause: error });
    for (const problem of error.problems) {
      const { line, column, message } = problem;
      const inside = line >= 1 && line <= lines.length && column >= 1;
      if (!inside || message === '' || /undefined|\[object/.test(message))
        throw new Error(`a problem without place or words: ${JSON.stringify(problem)}`, { cause: error });
    }
    return 'problems';
  }
}
