import { describe, expect, test } from 'vitest';
import {
  type Circumstances,
  ConditionError,
  readCondition,
  statesOf,
} from '../../../src/workflow/conditions.ts';
import type { ConditionFile } from '../../../src/workflow/when-schema.ts';

const push: Circumstances = {
  variables: {
    CI_PIPELINE_EVENT: 'push',
    CI_REPO: 'acme/app',
    CI_COMMIT_REF: 'refs/heads/main',
    CI_COMMIT_BRANCH: 'main',
    CI_COMMIT_MESSAGE: 'Change it',
    CI_SYSTEM_HOST: 'ci.example.org',
  },
  matrix: { GO: '1.22', DB: 'postgres' },
  platform: 'linux/amd64',
  cron: undefined,
  changed: ['src/a.ts', 'docs/b.md'],
  where: 'service',
};
const of = (event: string, more: Partial<Circumstances['variables']> = {}): Circumstances => ({
  ...push,
  variables: { ...push.variables, CI_PIPELINE_EVENT: event, ...more },
});
const tag = of('tag', { CI_COMMIT_REF: 'refs/tags/v1', CI_COMMIT_BRANCH: '', CI_COMMIT_TAG: 'v1' });
const nightly = { ...of('cron'), cron: 'nightly' };
const pull = of('pull_request');

type Row = readonly [ConditionFile, Circumstances, boolean];

test.each<Row>([
  [{}, push, true],
  [{ event: 'push' }, push, true],
  [{ event: ['tag', 'push'] }, push, true],
  [{ event: 'tag' }, push, false],
  [{ event: [] }, push, true],
  [{ branch: 'main' }, push, true],
  [{ branch: ['dev', 'ma*'] }, push, true],
  [{ branch: 'dev' }, push, false],
  [{ branch: { include: ['*'], exclude: ['main'] } }, push, false],
  [{ branch: { exclude: 'dev' } }, push, true],
  [{ branch: 'dev' }, tag, true],
  [{ branch: 'feature/*' }, of('push', { CI_COMMIT_BRANCH: 'feature/a' }), true],
  [{ branch: 'feature/*' }, of('push', { CI_COMMIT_BRANCH: 'feature/a/b' }), false],
  [{ ref: 'refs/tags/v*' }, tag, true],
  [{ ref: 'refs/tags/v*' }, push, false],
  [{ tag: 'v*' }, tag, true],
  [{ tag: 'w*' }, tag, false],
  [{ tag: 'v*' }, push, false],
  [{ repo: 'acme/*' }, push, true],
  [{ repo: 'other/app' }, push, false],
  [{ instance: 'ci.example.org' }, push, true],
  [{ platform: ['linux/*', 'windows/amd64'] }, push, true],
  [{ platform: 'linux/arm64' }, push, false],
  [{ cron: 'night*' }, nightly, true],
  [{ cron: 'weekly' }, nightly, false],
  [{ cron: 'weekly' }, push, true],
  [{ path: 'src/**' }, push, true],
  [{ path: 'lib/**' }, push, false],
  [{ path: 'lib/**' }, tag, true],
  [{ path: 'lib/**' }, pull, false],
  [{ path: { exclude: ['docs/**'] } }, push, true],
  [{ path: { exclude: ['docs/**', 'src/**'] } }, push, false],
  [{ path: { include: 'src/**', exclude: ['*.md'] } }, push, true],
  [
    { path: { include: 'lib/**', ignore_message: '[all]' } },
    of('push', { CI_COMMIT_MESSAGE: 'x [ALL]' }),
    true,
  ],
  [{ path: 'lib/**' }, { ...push, changed: [] }, true],
  [{ path: { include: ['lib/**'], on_empty: false } }, { ...push, changed: [] }, false],
  [{ path: 'lib/**' }, { ...push, changed: undefined }, true],
  [{ matrix: { GO: '1.*' } }, push, true],
  [{ matrix: { GO: 1.22, DB: 'postgres' } }, push, true],
  [{ matrix: { GO: '1.21' } }, push, false],
  [{ matrix: { OTHER: '*' } }, push, true],
  [{ matrix: { OTHER: 'x' } }, push, false],
  [{ matrix: { exclude: { GO: '1.22' } } }, push, false],
  [{ matrix: { exclude: { GO: '1.22', DB: 'mysql' } } }, push, true],
  [{ evaluate: 'CI_COMMIT_BRANCH == "main"' }, push, true],
  [{ evaluate: 'CI_COMMIT_BRANCH == "dev"' }, push, false],
  [{ local: false }, push, true],
  [{ local: false }, { ...push, where: 'local' }, false],
  [{ event: 'push', branch: 'dev' }, push, false],
])('%j', (file, circumstances, expected) => {
  expect(readCondition(file).holds(circumstances)).toBe(expected);
});

describe('states in which it runs', () => {
  test.each<readonly [ConditionFile[], Circumstances, string[]]>([
    [[], push, []],
    [[{ event: 'tag' }], push, []],
    [[{ event: 'tag' }, { event: 'push' }], push, ['success']],
    [[{ status: 'failure' }], push, ['failure']],
    [[{ status: ['success', 'failure'] }], push, ['success', 'failure']],
    [[{ event: 'tag', status: 'failure' }, { event: 'push' }], tag, ['failure']],
    [[{ event: 'tag', status: 'failure' }, { event: 'push' }], push, ['success']],
    [[{ event: 'push', status: 'failure' }, { branch: 'main' }], push, ['success', 'failure']],
  ])('%j', (files, circumstances, expected) => {
    const holding = files.map(readCondition).filter(({ holds }) => holds(circumstances));
    expect(statesOf(holding)).toEqual(expected);
  });
});

test.each<readonly [ConditionFile, string, string]>([
  [{ branch: 'a{b' }, 'branch', "the pattern 'a{b' has a { without }"],
  [{ matrix: { A: '[' } }, 'matrix', "the pattern '[' has a [ without ]"],
  [{ evaluate: 'a =' }, 'evaluate', "the expression cannot be judged: '=' at character 3 means nothing here"],
])('%j is refused', (file, key, message) => {
  expect(() => readCondition(file)).toThrow(expect.objectContaining({ key, message }));
});

test('an expression that is no condition is refused when it is judged', () => {
  const { holds } = readCondition({ evaluate: 'CI_REPO' });
  expect(() => holds(push)).toThrow(ConditionError);
});
