import { describe, expect, test } from 'vitest';
import type { Repository } from '../../../src/repositories.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import type { ForgeEvent } from '../../../src/triggers/forge.ts';
import { intake, type IntakeRequest } from '../../../src/triggers/intake.ts';
import { a, b, makeRepository } from './samples.ts';

const id = '01JDCK0000000000000000000A';
const push: ForgeEvent = {
  kind: 'build',
  trust: 'trusted',
  source: { ref: 'refs/heads/main', sha: b },
  trigger: { kind: 'push', branch: 'main' },
};
const tag: ForgeEvent = { ...push, trigger: { kind: 'tag', tag: 'v1' } };
const cron: ForgeEvent = { ...push, trigger: { kind: 'cron', name: 'nightly', branch: 'main' } };
const fork: ForgeEvent = {
  kind: 'build',
  trust: 'untrusted',
  source: { ref: 'refs/pull/12/head', sha: b, base: { ref: 'refs/heads/main', sha: a } },
  trigger: {
    kind: 'pull_request',
    pullRequest: { number: 12, sourceBranch: 'x', targetBranch: 'main', from: { kind: 'fork' } },
  },
};

const take = (
  event: ForgeEvent,
  repository: Partial<Repository> = {},
  request: Partial<IntakeRequest> = {},
) =>
  intake(makeRepository(repository), event, {
    id,
    requestedBy: 'hook:octo/hello',
    report: 'none',
    older: 'cancel',
    ...request,
  });

function specOf(...args: Parameters<typeof take>): BuildSpec {
  const made = take(...args);
  if (made.kind === 'ignored') throw new Error(made.reason);
  return made.spec;
}

test('a build is of the registered URL, and of the commit that the event names', () => {
  expect(specOf(push)).toEqual({
    id,
    project: 'octo/hello',
    source: {
      kind: 'git',
      url: 'https://git.example.org/octo/hello.git',
      repository: 'octo/hello',
      repo: 'octo/hello',
      ref: 'refs/heads/main',
      sha: b,
    },
    environment: {},
    priority: 5,
    labels: {},
    requestedBy: 'hook:octo/hello',
    trigger: { kind: 'push', branch: 'main' },
    trust: 'trusted',
    supersedeKey: 'push:main',
  });
});

test('the repository says what its builds get', () => {
  const defaults = { priority: 8, labels: { arch: 'arm64' }, environment: { A: 'b' } };
  expect(specOf(push, { defaults })).toMatchObject(defaults);
});

describe('a newer build makes older ones pointless', () => {
  test.each<[string, ForgeEvent, Partial<Repository>, string | undefined]>([
    ['of a branch', push, {}, 'push:main'],
    ['of a branch, unless the policy says no', push, { supersede: ['pull_request'] }, undefined],
    ['of a pull request', fork, {}, 'pull:12'],
    ['of a pull request, unless the policy says no', fork, { supersede: ['push'] }, undefined],
    ['never of a tag', tag, {}, undefined],
    ['never of a schedule', cron, {}, undefined],
  ])('%s', (_what, event, repository, key) => {
    expect(specOf(event, repository).supersedeKey).toBe(key);
  });

  test('but not one that is built again', () => {
    expect(specOf(push, {}, { older: 'keep' }).supersedeKey).toBeUndefined();
  });
});

describe('builds of forks', () => {
  test.each<[Repository['untrusted']['builds'], object]>([
    ['run', { kind: 'build', spec: expect.not.objectContaining({ hold: expect.anything() }) }],
    ['approval', { kind: 'build', spec: expect.objectContaining({ hold: 'approval', trust: 'untrusted' }) }],
    ['refuse', { kind: 'ignored', reason: 'octo/hello has no builds for pull requests from forks' }],
  ])('%s', (builds, expected) => {
    const untrusted = { builds, network: 'none', limits: {} } as const;
    expect(take(fork, { untrusted })).toEqual(expected);
    expect(specOf(push, { untrusted })).not.toHaveProperty('hold');
  });

  test('ask for workers that take them, whatever the repository asks for', () => {
    const defaults = { labels: { arch: 'arm64', trust: 'trusted' } };
    expect(specOf(fork, { defaults }).labels).toEqual({ arch: 'arm64', trust: 'untrusted' });
    expect(specOf(push, { defaults }).labels).toEqual(defaults.labels);
  });
});

test.each<[string, ForgeEvent, Repository['events'], 'build' | 'ignored']>([
  ['a push', push, ['tag', 'pull_request'], 'ignored'],
  ['a tag', tag, ['push', 'pull_request'], 'ignored'],
  ['a pull request', fork, ['push', 'tag'], 'ignored'],
  ['a push', push, ['push'], 'build'],
  ['a schedule, which is asked for by itself', cron, [], 'build'],
])('%s where events are %j', (_what, event, events, kind) => {
  expect(take(event, { events }).kind).toBe(kind);
});

test.each<[string | undefined, IntakeRequest['report'], BuildSpec['report']]>([
  ['https://api.github.com', 'forge', 'commit-status'],
  ['https://api.github.com', 'none', undefined],
  [undefined, 'forge', undefined],
])('with the API %s and the token for %s it reports %s', (apiUrl, report, expected) => {
  expect(specOf(push, apiUrl === undefined ? {} : { apiUrl }, { report }).report).toBe(expected);
});

test("the forge's texts are cut", () => {
  const long = 'x'.repeat(1_000_000);
  const event = {
    ...fork,
    trigger: {
      kind: 'pull_request',
      actor: long,
      url: long,
      commit: { message: long, author: long, email: long },
      pullRequest: {
        number: 1,
        title: long,
        sourceBranch: long,
        targetBranch: 'main',
        from: { kind: 'fork' },
        labels: Array.from({ length: 1000 }, () => long),
      },
    },
  } as const;
  expect(JSON.stringify(specOf(event)).length).toBeLessThan(150_000);
});
