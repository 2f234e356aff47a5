import { describe, expect, test } from 'vitest';
import type { Trigger } from '../../src/trigger.ts';
import { version } from '../../src/version.ts';
import { planDefaults } from '../../src/workflow/plan.ts';
import {
  type BuildFacts,
  buildVariables,
  stepVariables,
  workflowVariables,
} from '../../workers/ci-variables.ts';

const sha = 'eba09b46064473a1d345da7abf28b477468e8dbd';
const before = '15784117e4e103f36cba75a9e29da48046eb82c4';

const push: Trigger = {
  kind: 'push',
  branch: 'main',
  before,
  actor: 'octocat',
  url: 'https://git.example.com/john-doe/my-repo/commit/eba09b4',
  commit: { message: 'Initial commit', author: 'john-doe', email: 'john-doe@example.com' },
};
const pullRequest: Trigger = {
  kind: 'pull_request',
  pullRequest: {
    number: 1,
    title: 'An issue',
    sourceBranch: 'issue-branch',
    targetBranch: 'main',
    from: { kind: 'fork', url: 'https://git.example.com/stranger/my-repo.git' },
    labels: ['server', 'bug'],
  },
};
const tag: Trigger = { kind: 'tag', tag: 'v1.10.3' };

const facts: BuildFacts = {
  id: '01J0000000000000000000000A',
  createdAt: '2024-08-02T17:05:19.400Z',
  startedAt: '2024-08-02T17:05:21.900Z',
  trigger: push,
  git: { ref: 'refs/heads/main', sha },
  project: 'john-doe/my-repo',
  number: 8,
  repository: {
    name: 'john-doe/my-repo',
    url: 'https://git.example.com/john-doe/my-repo.git',
    forge: 'gitea',
    defaultBranch: 'main',
  },
  publicUrl: 'https://ci.example.com',
  page: 'https://ci.example.com/v1/builds/01J/logs',
};
const release = { ...planDefaults, file: 'release' };
const ofPush = {
  ...buildVariables(facts),
  ...workflowVariables(release),
  ...stepVariables('build package', 0, '2024-08-02T17:05:22.000Z'),
};
const ofPull = buildVariables({ ...facts, trigger: pullRequest, git: { ref: 'refs/pull/1/head', sha } });
const ofTag = buildVariables({ ...facts, trigger: tag, git: { ref: 'refs/tags/v1.10.3', sha } });

/**
 * All that https://woodpecker-ci.org/docs/usage/environment documents, in its order: what a variable is, in which
 * build, or why there is none.
 */
const documented: readonly (readonly [string, readonly ['push' | 'pull' | 'tag', string] | string])[] = [
  ['CI', ['push', 'true']],
  ['CI_REPO', ['push', 'john-doe/my-repo']],
  ['CI_REPO_OWNER', ['push', 'john-doe']],
  ['CI_REPO_NAME', ['push', 'my-repo']],
  ['CI_REPO_REMOTE_ID', 'repositories are known by their names, not by the numbers of forges'],
  ['CI_REPO_URL', ['push', 'https://git.example.com/john-doe/my-repo']],
  ['CI_REPO_CLONE_URL', ['push', 'https://git.example.com/john-doe/my-repo.git']],
  ['CI_REPO_CLONE_SSH_URL', 'only the URL that was registered is known; set when that is ssh'],
  ['CI_REPO_DEFAULT_BRANCH', ['push', 'main']],
  ['CI_REPO_PRIVATE', 'nobody tells'],
  ['CI_REPO_TRUSTED_NETWORK', 'no repository has such rights here'],
  ['CI_REPO_TRUSTED_VOLUMES', 'no repository has such rights here'],
  ['CI_REPO_TRUSTED_SECURITY', 'no repository has such rights here'],
  ['CI_COMMIT_SHA', ['push', sha]],
  ['CI_COMMIT_REF', ['push', 'refs/heads/main']],
  ['CI_COMMIT_REFSPEC', ['pull', 'issue-branch:main']],
  ['CI_COMMIT_BRANCH', ['push', 'main']],
  ['CI_COMMIT_SOURCE_BRANCH', ['pull', 'issue-branch']],
  ['CI_COMMIT_TARGET_BRANCH', ['pull', 'main']],
  ['CI_COMMIT_TAG', ['tag', 'v1.10.3']],
  ['CI_COMMIT_PULL_REQUEST', ['pull', '1']],
  ['CI_COMMIT_PULL_REQUEST_LABELS', ['pull', 'server,bug']],
  ['CI_COMMIT_PULL_REQUEST_MILESTONE', 'not read from deliveries'],
  ['CI_COMMIT_MESSAGE', ['push', 'Initial commit']],
  ['CI_COMMIT_AUTHOR', ['push', 'john-doe']],
  ['CI_COMMIT_AUTHOR_EMAIL', ['push', 'john-doe@example.com']],
  ['CI_COMMIT_PRERELEASE', 'releases make no builds'],
  ['CI_PIPELINE_NUMBER', ['push', '8']],
  ['CI_PIPELINE_PARENT', 'a retried build is known by its id, not by a number'],
  ['CI_PIPELINE_EVENT', ['push', 'push']],
  ['CI_PIPELINE_URL', ['push', 'https://ci.example.com/v1/builds/01J/logs']],
  ['CI_PIPELINE_FORGE_URL', ['push', 'https://git.example.com/john-doe/my-repo/commit/eba09b4']],
  ['CI_PIPELINE_DEPLOY_TARGET', 'deployments make no builds'],
  ['CI_PIPELINE_DEPLOY_TASK', 'deployments make no builds'],
  ['CI_PIPELINE_CREATED', ['push', '1722618319']],
  ['CI_PIPELINE_STARTED', ['push', '1722618321']],
  ['CI_PIPELINE_FILES', 'changed files are not looked up'],
  ['CI_PIPELINE_AUTHOR', ['push', 'octocat']],
  ['CI_PIPELINE_AVATAR', 'not read from deliveries'],
  ['CI_WORKFLOW_NAME', ['push', 'release']],
  ['CI_STEP_NAME', ['push', 'build package']],
  ['CI_STEP_NUMBER', ['push', '0']],
  ['CI_STEP_STARTED', ['push', '1722618322']],
  ['CI_STEP_URL', 'steps have no pages of their own'],
  ['CI_PREV_COMMIT_SHA', ['push', before]],
  ['CI_PREV_COMMIT_REF', ['push', 'refs/heads/main']],
  ['CI_PREV_COMMIT_REFSPEC', 'the build before is not looked up'],
  ['CI_PREV_COMMIT_BRANCH', ['push', 'main']],
  ['CI_PREV_COMMIT_SOURCE_BRANCH', 'the build before is not looked up'],
  ['CI_PREV_COMMIT_TARGET_BRANCH', 'the build before is not looked up'],
  ['CI_PREV_COMMIT_URL', 'the build before is not looked up'],
  ['CI_PREV_COMMIT_MESSAGE', 'the build before is not looked up'],
  ['CI_PREV_COMMIT_AUTHOR', 'the build before is not looked up'],
  ['CI_PREV_COMMIT_AUTHOR_EMAIL', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_NUMBER', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_PARENT', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_EVENT', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_URL', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_FORGE_URL', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_DEPLOY_TARGET', 'deployments make no builds'],
  ['CI_PREV_PIPELINE_DEPLOY_TASK', 'deployments make no builds'],
  ['CI_PREV_PIPELINE_STATUS', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_CREATED', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_STARTED', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_FINISHED', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_AUTHOR', 'the build before is not looked up'],
  ['CI_PREV_PIPELINE_AVATAR', 'the build before is not looked up'],
  ['CI_WORKSPACE', ['push', '/workspace']],
  ['CI_SYSTEM_NAME', ['push', 'cofferdam']],
  ['CI_SYSTEM_URL', ['push', 'https://ci.example.com']],
  ['CI_SYSTEM_HOST', ['push', 'ci.example.com']],
  ['CI_SYSTEM_VERSION', ['push', version]],
  ['CI_FORGE_TYPE', ['push', 'gitea']],
  ['CI_FORGE_URL', ['push', 'https://git.example.com']],
  ['CI_SCRIPT', "Woodpecker's own business"],
  ['CI_NETRC_USERNAME', 'no credentials get into a build'],
  ['CI_NETRC_PASSWORD', 'no credentials get into a build'],
  ['CI_NETRC_MACHINE', 'no credentials get into a build'],
];

describe('of the documented variables', () => {
  const builds = { push: ofPush, pull: ofPull, tag: ofTag };
  test.each(documented)('%s: %j', (name, expected) => {
    if (typeof expected === 'string') expect(ofPush).not.toHaveProperty(name);
    else expect(builds[expected[0]]).toHaveProperty(name, expected[1]);
  });

  test('no others are set, but for ours', () => {
    const names = Object.values(builds).flatMap((variables) => Object.keys(variables));
    const known = documented.map(([name]) => name);
    expect([...new Set(names)].filter((name) => !known.includes(name))).toEqual(['COFFERDAM_BUILD_ID']);
  });
});

describe('what is not known is left out, not empty', () => {
  test('of a build without a repository, number or commit', () => {
    const { id, createdAt, startedAt } = facts;
    const variables = buildVariables({ id, createdAt, startedAt, trigger: { kind: 'manual' }, git: {} });
    expect(Object.keys(variables).sort()).toEqual([
      'CI',
      'CI_PIPELINE_CREATED',
      'CI_PIPELINE_EVENT',
      'CI_PIPELINE_STARTED',
      'CI_SYSTEM_NAME',
      'CI_SYSTEM_VERSION',
      'COFFERDAM_BUILD_ID',
    ]);
    expect(Object.values(variables)).not.toContain('');
  });

  test.each<[string, Partial<BuildFacts>, Record<string, string | undefined>]>([
    ['a branch is no tag', {}, { CI_COMMIT_TAG: undefined }],
    [
      'a tag is no branch',
      { trigger: tag, git: { ref: 'refs/tags/v1.10.3' } },
      { CI_COMMIT_BRANCH: undefined },
    ],
    [
      'a tag that is built by hand',
      { trigger: { kind: 'manual' }, git: { ref: 'refs/tags/v2' } },
      { CI_COMMIT_TAG: 'v2' },
    ],
    [
      'a branch by its short name',
      { trigger: { kind: 'manual' }, git: { ref: 'topic/x' } },
      { CI_COMMIT_REF: 'refs/heads/topic/x', CI_COMMIT_BRANCH: 'topic/x' },
    ],
    [
      'a cron build',
      { trigger: { kind: 'cron', name: 'nightly', branch: 'main' }, git: { sha } },
      { CI_COMMIT_BRANCH: 'main', CI_PIPELINE_EVENT: 'cron', CI_PREV_COMMIT_SHA: undefined },
    ],
    [
      'the first push of a branch',
      { trigger: { ...push, before: '0'.repeat(40) } },
      { CI_PREV_COMMIT_SHA: undefined, CI_PREV_COMMIT_BRANCH: undefined },
    ],
  ])('%s', (_, some, expected) => {
    const variables = buildVariables({ ...facts, ...some });
    for (const [name, value] of Object.entries(expected)) expect(variables[name], name).toBe(value);
  });

  test.each<[string, string, Record<string, string | undefined>]>([
    [
      'below a path of its host',
      'https://example.com/gitlab/john-doe/my-repo.git',
      { CI_FORGE_URL: 'https://example.com/gitlab' },
    ],
    [
      'by ssh',
      'ssh://git@example.com/john-doe/my-repo.git',
      {
        CI_REPO_URL: undefined,
        CI_FORGE_URL: undefined,
        CI_REPO_CLONE_URL: 'ssh://git@example.com/john-doe/my-repo.git',
        CI_REPO_CLONE_SSH_URL: 'ssh://git@example.com/john-doe/my-repo.git',
      },
    ],
    ['by another name', 'https://example.com/other', { CI_FORGE_URL: undefined }],
  ])('a repository %s', (_, url, expected) => {
    const repository = { name: 'john-doe/my-repo', url, forge: 'gitlab', defaultBranch: 'main' } as const;
    const variables = buildVariables({ ...facts, repository });
    for (const [name, value] of Object.entries(expected)) expect(variables[name], name).toBe(value);
  });
});

describe("a stranger's text is data", () => {
  const messageOf = (message: string) =>
    buildVariables({ ...facts, trigger: { ...push, commit: { message } } })['CI_COMMIT_MESSAGE'];

  test.each([
    ['as it is', '$(reboot) `reboot` "\'\n\\ ${CI} ::set-output\u001b[2J', undefined],
    ['without NUL, which execve(2) does not take', 'a\0b\0', 'ab'],
    ['without halves of characters', `${'x'.repeat(31_999)}😀`, 'x'.repeat(31_999)],
  ])('%s', (_, message, expected = message) => expect(messageOf(message)).toBe(expected));

  test('of which no entry is longer than Linux takes: 128 KiB with its name', () => {
    for (const text of ['x'.repeat(1e6), '😀'.repeat(1e6), '\u0800'.repeat(1e6)]) {
      const trigger: Trigger = { ...push, branch: text, actor: text, url: text };
      const variables = buildVariables({ ...facts, trigger: { ...trigger, commit: { message: text } } });
      for (const [name, value] of Object.entries(variables))
        expect(Buffer.byteLength(`${name}=${value}\0`)).toBeLessThan(128 * 1024);
    }
  });
});
