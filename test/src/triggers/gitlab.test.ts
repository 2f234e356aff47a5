import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { gitlab } from '../../../src/triggers/gitlab.ts';
import { a, b, makeRepository, read, zeros } from './samples.ts';

const project = {
  id: 15,
  path_with_namespace: 'octo/hello',
  git_http_url: 'http://example.com/octo/hello.git',
};

/** After "Push events" of GitLab's documentation. */
const push = (change: object = {}) => ({
  object_kind: 'push',
  event_name: 'push',
  before: a,
  after: b,
  ref: 'refs/heads/main',
  checkout_sha: b,
  user_name: 'John Smith',
  user_username: 'jsmith',
  project_id: 15,
  project,
  commits: [
    { id: a, message: 'Earlier', author: { name: 'Other', email: 'other@example.com' } },
    { id: b, message: 'fixed readme', author: { name: 'GitLab dev user', email: 'gitlabdev@example.com' } },
  ],
  total_commits_count: 2,
  ...change,
});

/** After "Merge request events". */
const merge = (attributes: object = {}, change: object = {}) => ({
  object_kind: 'merge_request',
  user: { id: 1, name: 'Administrator', username: 'root', email: '[REDACTED]' },
  project,
  object_attributes: {
    id: 99,
    iid: 7,
    target_branch: 'main',
    source_branch: 'ms-viewport',
    source_project_id: 15,
    target_project_id: 15,
    title: 'MS-Viewport',
    updated_at: '2022-01-17 15:47:39 UTC',
    url: 'http://example.com/octo/hello/merge_requests/7',
    source: { git_http_url: 'http://example.com/eve/hello.git' },
    last_commit: { id: b, message: 'fixed readme', author: { name: 'Dev', email: 'dev@example.com' } },
    draft: false,
    action: 'open',
    ...attributes,
  },
  labels: [{ id: 206, title: 'API' }],
  ...change,
});

describe('a push', () => {
  test('is built with the commit it ends at', () => {
    expect(read('gitlab', 'Push Hook', push())).toEqual([
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: 'refs/heads/main', sha: b },
        trigger: {
          kind: 'push',
          branch: 'main',
          before: a,
          actor: 'jsmith',
          commit: { message: 'fixed readme', author: 'GitLab dev user', email: 'gitlabdev@example.com' },
        },
      },
    ]);
  });

  test.each<[string, string, object, object]>([
    [
      'of a tag builds its commit',
      'Tag Push Hook',
      { ref: 'refs/tags/v1', before: zeros, after: a, checkout_sha: b },
      { source: { ref: 'refs/tags/v1', sha: b }, trigger: { kind: 'tag', tag: 'v1' } },
    ],
    [
      'of a new branch without commits is built',
      'Push Hook',
      { before: zeros, commits: [], total_commits_count: 0 },
      { kind: 'build' },
    ],
    [
      'that deletes a branch is ignored',
      'Push Hook',
      { after: zeros, checkout_sha: null, commits: [] },
      { reason: 'refs/heads/main was deleted' },
    ],
    [
      'that deletes a tag is ignored',
      'Tag Push Hook',
      { ref: 'refs/tags/v1', after: zeros, checkout_sha: null },
      { reason: 'refs/tags/v1 was deleted' },
    ],
    [
      'with [ci skip] in its last message is ignored',
      'Push Hook',
      { commits: [{ id: b, message: 'x [ci skip]' }] },
      { reason: "the commit's message says [ci skip]" },
    ],
    [
      'with [ci skip] in an earlier message is built',
      'Push Hook',
      {
        commits: [
          { id: a, message: '[ci skip]' },
          { id: b, message: 'x' },
        ],
      },
      { kind: 'build' },
    ],
    [
      'of another project is ignored',
      'Push Hook',
      { project: { path_with_namespace: 'octo/other' } },
      { reason: expect.stringContaining('octo/other') },
    ],
  ])('%s', (_what, event, change, expected) => {
    expect(read('gitlab', event, push(change))[0]).toMatchObject(expected);
  });

  test('of a project in subgroups, on a GitLab below a path, is built', () => {
    const repository = makeRepository({ forge: 'gitlab', url: 'https://example.com/gitlab/a/b/c.git' });
    const told = push({ project: { path_with_namespace: 'A/b/c' } });
    expect(read('gitlab', 'Push Hook', told, repository)[0]?.kind).toBe('build');
  });
});

describe('a merge request', () => {
  test('of the project itself is trusted', () => {
    expect(read('gitlab', 'Merge Request Hook', merge())).toEqual([
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: 'refs/merge-requests/7/head', sha: b, base: { ref: 'refs/heads/main' } },
        trigger: {
          kind: 'pull_request',
          actor: 'root',
          at: '2022-01-17T15:47:39.000Z',
          url: 'http://example.com/octo/hello/merge_requests/7',
          commit: { message: 'fixed readme', author: 'Dev', email: 'dev@example.com' },
          pullRequest: {
            number: 7,
            title: 'MS-Viewport',
            labels: ['API'],
            sourceBranch: 'ms-viewport',
            targetBranch: 'main',
            from: { kind: 'same-repository' },
          },
        },
      },
    ]);
  });

  test.each<[string, object, string]>([
    ['of another project', { source_project_id: 16 }, 'untrusted'],
    ['of a project that is gone', { source_project_id: null }, 'untrusted'],
    ['of a project that is not told', { source_project_id: undefined }, 'untrusted'],
  ])('%s is untrusted', (_what, attributes, trust) => {
    expect(read('gitlab', 'Merge Request Hook', merge(attributes))[0]).toMatchObject({ trust });
  });

  test.each<[string, object, object, 'build' | 'ignored']>([
    ['opened', { action: 'open' }, {}, 'build'],
    ['opened as a draft', { action: 'open', draft: true }, {}, 'build'],
    ['opened again', { action: 'reopen' }, {}, 'build'],
    ['with new commits', { action: 'update', oldrev: a }, {}, 'build'],
    ['ready', { action: 'update' }, { changes: { draft: { previous: true, current: false } } }, 'build'],
    [
      'with a new title',
      { action: 'update' },
      { changes: { title: { previous: 'a', current: 'b' } } },
      'ignored',
    ],
    ['closed', { action: 'close' }, {}, 'ignored'],
    ['merged', { action: 'merge' }, {}, 'ignored'],
    ['approved', { action: 'approved' }, {}, 'ignored'],
    ['without action', { action: undefined }, {}, 'ignored'],
    ['without commits', { last_commit: null }, {}, 'ignored'],
    ['that asks for no build', { title: 'x [skip ci]' }, {}, 'ignored'],
  ])('%s', (_what, attributes, change, kind) => {
    expect(read('gitlab', 'Merge Request Hook', merge(attributes, change))[0]?.kind).toBe(kind);
  });
});

describe('a signing token', () => {
  const key = randomBytes(32);
  const token = `whsec_${key.toString('base64')}`;
  const body = Buffer.from(JSON.stringify(push()));
  const message = (change: { at?: number; key?: Buffer; body?: Buffer; prefix?: string } = {}) => {
    const timestamp = String(Math.floor((change.at ?? Date.now()) / 1000));
    const hmac = createHmac('sha256', change.key ?? key)
      .update(`id-1.${timestamp}.`)
      .update(body);
    return {
      headers: {
        'webhook-id': 'id-1',
        'webhook-timestamp': timestamp,
        'webhook-signature': `${change.prefix ?? ''}v1,${hmac.digest('base64')}`,
      },
      body: change.body ?? body,
    };
  };
  const hour = 3_600_000;

  test.each<[string, Parameters<typeof message>[0], boolean]>([
    ['signs', {}, true],
    ['signs beside an older one', { prefix: `v1,${randomBytes(32).toString('base64')} v1a,x ` }, true],
    ['is not another one', { key: randomBytes(32) }, false],
    ['is not the text of it', { key: Buffer.from(token) }, false],
    ['does not sign another body', { body: Buffer.from('{}') }, false],
    ['does not sign for an hour', { at: Date.now() - hour }, false],
    ['does not sign for the future', { at: Date.now() + hour }, false],
  ])('%s', (_what, change, expected) => {
    expect(gitlab.authenticate(message(change), [token])).toBe(expected);
  });

  test('cannot be avoided: a signature that is there decides', () => {
    const both = message({ key: randomBytes(32) });
    expect(
      gitlab.authenticate({ ...both, headers: { ...both.headers, 'x-gitlab-token': token } }, [token]),
    ).toBe(false);
  });

  test.each(['webhook-id', 'webhook-timestamp'])('needs %s', (name) => {
    const whole = message();
    expect(gitlab.authenticate({ ...whole, headers: { ...whole.headers, [name]: undefined } }, [token])).toBe(
      false,
    );
  });
});

test.each<[string, string[], boolean]>([
  ['token', ['token'], true],
  ['token', ['newer', 'token'], true],
  ['token', ['token '], false],
  ['token', ['tokens'], false],
  ['', [''], false],
  ['token', [], false],
])('a token %j is one of %j: %s', (given, secrets, expected) => {
  const message = { headers: { 'x-gitlab-token': given }, body: Buffer.from('{}') };
  expect(gitlab.authenticate(message, secrets)).toBe(expected);
});

test('a delivery is known by its Idempotency-Key, which stays the same when it is sent again', () => {
  const headers = { 'idempotency-key': 'key', 'x-gitlab-event-uuid': 'uuid' };
  expect(gitlab.deliveryId(headers)).toBe('key');
  expect(gitlab.deliveryId({ 'x-gitlab-event-uuid': 'uuid' })).toBe('uuid');
  expect(gitlab.deliveryId({})).toBeUndefined();
});
