import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { Message } from '../../../src/triggers/forge.ts';
import { forgejo, gitea } from '../../../src/triggers/gitea.ts';
import { a, b, read, signed, zeros } from './samples.ts';

/** After the example of Gitea's documentation. */
const push = (change: object = {}) => ({
  ref: 'refs/heads/develop',
  before: a,
  after: b,
  compare_url: 'http://localhost:3000/octo/hello/compare/a...b',
  commits: [
    {
      id: b,
      message: 'Webhooks Yay!',
      author: { name: 'Gitea', email: 'someone@gitea.io', username: 'gitea' },
    },
  ],
  head_commit: null,
  repository: { id: 140, full_name: 'octo/hello' },
  pusher: { login: 'gitea' },
  sender: { login: 'gitea' },
  ...change,
});

const pull = (change: object = {}, head: object = {}) => ({
  action: 'opened',
  number: 3,
  pull_request: {
    html_url: 'http://localhost:3000/octo/hello/pulls/3',
    title: 'Update the README',
    updated_at: '2024-05-01T10:00:00+02:00',
    labels: [{ name: 'docs' }],
    base: { label: 'main', ref: 'main', sha: a, repo_id: 140, repo: { id: 140, full_name: 'octo/hello' } },
    head: {
      label: 'changes',
      ref: 'changes',
      sha: b,
      repo_id: 140,
      repo: { clone_url: 'http://localhost:3000/x.git' },
      ...head,
    },
  },
  repository: { id: 140, full_name: 'octo/hello' },
  sender: { login: 'eve' },
  ...change,
});

describe.each(['gitea', 'forgejo'] as const)('%s: a push', (kind) => {
  test('is built, with what its commit says', () => {
    expect(read(kind, 'push', push())).toEqual([
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: 'refs/heads/develop', sha: b },
        trigger: {
          kind: 'push',
          branch: 'develop',
          before: a,
          actor: 'gitea',
          url: 'http://localhost:3000/octo/hello/compare/a...b',
          commit: { message: 'Webhooks Yay!', author: 'Gitea', email: 'someone@gitea.io' },
        },
      },
    ]);
  });

  test.each<[string, object, object]>([
    [
      'of a new branch at an old commit is built',
      { before: zeros, commits: [], head_commit: { id: b } },
      { kind: 'build' },
    ],
    [
      'of a tag builds its commit',
      { ref: 'refs/tags/v1', after: a, head_commit: { id: b } },
      { source: { sha: b }, trigger: { tag: 'v1' } },
    ],
    ['that deletes is ignored', { after: zeros, commits: [] }, { reason: 'refs/heads/develop was deleted' }],
    ['with [skip ci] is ignored', { head_commit: { id: b, message: '[skip ci]' } }, { kind: 'ignored' }],
  ])('%s', (_what, change, expected) => {
    expect(read(kind, 'push', push(change))[0]).toMatchObject(expected);
  });

  test('makes the builds that create and delete tell of as well', () => {
    for (const event of ['create', 'delete', 'issues', 'release']) {
      expect(read(kind, event, { ref: 'v1', ref_type: 'tag' })[0]?.kind).toBe('ignored');
    }
  });
});

describe.each(['gitea', 'forgejo'] as const)('%s: a pull request', (kind) => {
  test('of the repository itself is trusted', () => {
    expect(read(kind, 'pull_request', pull())[0]).toEqual({
      kind: 'build',
      trust: 'trusted',
      source: { ref: 'refs/pull/3/head', sha: b, base: { ref: 'refs/heads/main', sha: a } },
      trigger: {
        kind: 'pull_request',
        actor: 'eve',
        at: '2024-05-01T08:00:00.000Z',
        url: 'http://localhost:3000/octo/hello/pulls/3',
        pullRequest: {
          number: 3,
          title: 'Update the README',
          labels: ['docs'],
          sourceBranch: 'changes',
          targetBranch: 'main',
          from: { kind: 'same-repository' },
          baseSha: a,
        },
      },
    });
  });

  test.each<[string, object]>([
    ['of a fork', { repo_id: 141 }],
    ['of a fork that is gone', { repo_id: 0, repo: null }],
    ['that does not say of what', { repo_id: undefined, repo: undefined }],
  ])('%s is untrusted', (_what, head) => {
    expect(read(kind, 'pull_request', pull({}, head))[0]).toMatchObject({ trust: 'untrusted' });
  });

  test.each([undefined, 0])('of a forge that tells no ids (%s) is untrusted', (id) => {
    const side = { ref: 'main', sha: b, repo_id: id };
    const told = pull({ pull_request: { base: side, head: side } });
    expect(read(kind, 'pull_request', told)[0]).toMatchObject({ trust: 'untrusted' });
  });

  test.each<[string, 'build' | 'ignored']>([
    ['opened', 'build'],
    ['reopened', 'build'],
    ['synchronized', 'build'],
    ['closed', 'ignored'],
    ['edited', 'ignored'],
    ['label_updated', 'ignored'],
  ])('%s: %s', (action, result) => {
    expect(read(kind, 'pull_request', pull({ action }))[0]?.kind).toBe(result);
  });
});

describe('signatures', () => {
  const message = signed('gitea', push(), 'secret');
  const withHeaders = (headers: Message['headers']): Message => ({ body: message.body, headers });
  const good = createHmac('sha256', 'secret').update(message.body).digest('hex');
  const bad = 'f'.repeat(64);

  test.each<[string, Message['headers'], boolean, boolean]>([
    ["Gitea's", { 'x-gitea-signature': good }, true, true],
    ["Forgejo's", { 'x-forgejo-signature': good }, false, true],
    ["Forgejo's, which decides", { 'x-forgejo-signature': bad, 'x-gitea-signature': good }, true, false],
    ['a wrong one', { 'x-gitea-signature': bad }, false, false],
    ["GitHub's, which both send too", { 'x-hub-signature-256': `sha256=${good}` }, false, false],
    ['none', {}, false, false],
  ])('%s', (_what, headers, forGitea, forForgejo) => {
    expect(gitea.authenticate(withHeaders(headers), ['secret'])).toBe(forGitea);
    expect(forgejo.authenticate(withHeaders(headers), ['secret'])).toBe(forForgejo);
  });
});
