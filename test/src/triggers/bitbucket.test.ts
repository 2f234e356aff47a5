import { describe, expect, test } from 'vitest';
import { bitbucket } from '../../../src/triggers/bitbucket.ts';
import { a, b, makeRepository, read, signed } from './samples.ts';

const cloudRepository = { full_name: 'octo/hello', uuid: '{1}' };
const actor = { nickname: 'ann', display_name: 'Ann' };

/** A ref as in "Push" of the documentation of Bitbucket Cloud. */
const ref = (type: string, name: string, hash: string) => ({
  type,
  name,
  target: { type: 'commit', hash, message: 'a\n', author: { raw: 'Ann B <ann@example.org>' } },
  links: { html: { href: `https://bitbucket.org/octo/hello/${type}/${name}` } },
});
const cloudPush = (...changes: object[]) => ({ actor, repository: cloudRepository, push: { changes } });

describe('Bitbucket Cloud: a push', () => {
  test('makes an event of each ref that it moves', () => {
    const events = read(
      'bitbucket',
      'repo:push',
      cloudPush(
        { old: ref('branch', 'main', a), new: ref('branch', 'main', b) },
        { old: null, new: ref('tag', 'v1', b) },
        { old: ref('branch', 'gone', a), new: null },
        { old: null, new: null },
      ),
    );
    const about = { actor: 'ann', commit: { message: 'a\n', author: 'Ann B', email: 'ann@example.org' } };
    expect(events).toEqual([
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: 'refs/heads/main', sha: b },
        trigger: { kind: 'push', branch: 'main', before: a, url: expect.any(String), ...about },
      },
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: 'refs/tags/v1', sha: b },
        trigger: { kind: 'tag', tag: 'v1', url: expect.any(String), ...about },
      },
      { kind: 'ignored', reason: 'refs/heads/gone was deleted' },
      { kind: 'ignored', reason: 'a change that names no ref' },
    ]);
  });

  test('of another repository is ignored', () => {
    const push = { ...cloudPush(), repository: { full_name: 'octo/other' } };
    expect(read('bitbucket', 'repo:push', push)).toEqual([
      { kind: 'ignored', reason: expect.stringContaining('octo/other') },
    ]);
  });
});

describe('Bitbucket Cloud: a pull request', () => {
  const pull = (source: object, hash = b) => ({
    actor,
    repository: cloudRepository,
    pullrequest: {
      id: 4,
      title: 'More',
      updated_on: '2015-04-06T15:23:38.179678+00:00',
      source: { branch: { name: 'branch2' }, commit: { hash }, repository: cloudRepository, ...source },
      destination: {
        branch: { name: 'main' },
        commit: { hash: 'ce5965ddd289' },
        repository: cloudRepository,
      },
      links: { html: { href: 'https://bitbucket.org/octo/hello/pull-requests/4' } },
    },
  });

  test('of the repository itself builds its branch', () => {
    expect(read('bitbucket', 'pullrequest:created', pull({}))).toEqual([
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: 'refs/heads/branch2', sha: b, base: { ref: 'refs/heads/main' } },
        trigger: {
          kind: 'pull_request',
          actor: 'ann',
          at: '2015-04-06T15:23:38.179Z',
          url: 'https://bitbucket.org/octo/hello/pull-requests/4',
          pullRequest: {
            number: 4,
            title: 'More',
            sourceBranch: 'branch2',
            targetBranch: 'main',
            from: { kind: 'same-repository' },
          },
        },
      },
    ]);
  });

  test('with a shortened commit leaves it to the branch', () => {
    const [event] = read('bitbucket', 'pullrequest:updated', pull({}, 'd3022fc0ca3d'));
    expect(event).toMatchObject({ kind: 'build', source: { ref: 'refs/heads/branch2' } });
    expect(event?.kind === 'build' && event.source).not.toHaveProperty('sha');
  });

  test.each<[string, object]>([
    ['of a fork', { repository: { full_name: 'eve/hello', uuid: '{2}' } }],
    ['of a fork that is gone', { repository: null }],
    ['that does not say of what', { repository: { full_name: 'octo/hello' } }],
  ])('%s is ignored: its commits cannot be fetched', (_what, source) => {
    expect(read('bitbucket', 'pullrequest:created', pull(source))[0]).toMatchObject({
      reason: expect.stringContaining('does not give out the commits of pull requests from forks'),
    });
  });

  test.each(['pullrequest:fulfilled', 'pullrequest:rejected', 'issue:created'])(
    '%s makes no build',
    (event) => {
      expect(read('bitbucket', event, {})[0]?.kind).toBe('ignored');
    },
  );
});

const server = makeRepository({
  forge: 'bitbucket',
  url: 'ssh://git@bitbucket.example.com:7999/dev/hello.git',
});
const serverRepository = {
  id: 1684,
  slug: 'hello',
  project: { key: 'DEV' },
  links: { clone: [{ name: 'http', href: 'https://bitbucket.example.com/scm/dev/hello.git' }] },
};

describe('Bitbucket Data Center: a push', () => {
  /** After "Push" of its documentation. */
  const push = (...changes: object[]) => ({
    eventKey: 'repo:refs_changed',
    date: '2025-09-23T03:15:55+0300',
    actor: { name: 'ann' },
    repository: serverRepository,
    changes,
    toCommit: { id: b, message: 'chore', author: { name: 'Ann', emailAddress: 'ann@example.org' } },
  });
  const change = (id: string, type: string) => ({ ref: { id }, refId: id, fromHash: a, toHash: b, type });

  test('makes an event of each ref that it moves', () => {
    const events = read(
      'bitbucket',
      'repo:refs_changed',
      push(change('refs/heads/main', 'UPDATE'), change('refs/heads/gone', 'DELETE')),
      server,
    );
    expect(events).toEqual([
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: 'refs/heads/main', sha: b },
        trigger: {
          kind: 'push',
          branch: 'main',
          before: a,
          actor: 'ann',
          at: '2025-09-23T00:15:55.000Z',
          commit: { message: 'chore', author: 'Ann', email: 'ann@example.org' },
        },
      },
      { kind: 'ignored', reason: 'refs/heads/gone was deleted' },
    ]);
  });
});

describe('Bitbucket Data Center: a pull request', () => {
  const pull = (id: number) => ({
    date: '2025-09-22T13:36:11+0300',
    actor: { name: 'eve' },
    pullRequest: {
      id: 114,
      title: 'testing',
      fromRef: {
        id: 'refs/heads/x',
        displayId: 'x',
        latestCommit: b,
        repository: { ...serverRepository, id },
      },
      toRef: { id: 'refs/heads/main', displayId: 'main', latestCommit: a, repository: serverRepository },
      links: { self: [{ href: 'https://bitbucket.example.com/114' }] },
    },
  });

  test.each<[number, string]>([
    [1684, 'trusted'],
    [1856, 'untrusted'],
  ])('of the repository %i is %s', (id, trust) => {
    expect(read('bitbucket', 'pr:opened', pull(id), server)[0]).toMatchObject({
      trust,
      source: {
        ref: 'refs/pull-requests/114/from',
        sha: b,
        base: { ref: 'refs/heads/main', sha: a },
      },
      trigger: { actor: 'eve', pullRequest: { number: 114, sourceBranch: 'x', targetBranch: 'main' } },
    });
  });

  test.each<[string, 'build' | 'ignored']>([
    ['pr:from_ref_updated', 'build'],
    ['pr:modified', 'ignored'],
    ['pr:merged', 'ignored'],
    ['diagnostics:ping', 'ignored'],
  ])('%s: %s', (event, kind) => {
    expect(read('bitbucket', event, pull(1684), server)[0]?.kind).toBe(kind);
  });
});

test('a signature says that it is SHA-256', () => {
  const message = signed('bitbucket', cloudPush(), 'secret');
  const signature = String(message.headers['x-hub-signature']);
  const given = (value: string) => ({
    ...message,
    headers: { ...message.headers, 'x-hub-signature': value },
  });
  expect(bitbucket.authenticate(message, ['secret'])).toBe(true);
  expect(bitbucket.authenticate(given(signature.replace('sha256=', '')), ['secret'])).toBe(false);
  expect(bitbucket.authenticate(given(signature.replace('sha256=', 'sha1=')), ['secret'])).toBe(false);
});

test('a delivery of both kinds has an id', () => {
  expect(bitbucket.deliveryId({ 'x-request-uuid': 'cloud' })).toBe('cloud');
  expect(bitbucket.deliveryId({ 'x-request-id': 'server' })).toBe('server');
});
