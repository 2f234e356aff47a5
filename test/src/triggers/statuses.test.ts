import { describe, expect, test } from 'vitest';
import type { Status } from '../../../src/build.ts';
import type { ForgeKind } from '../../../src/repositories.ts';
import type { CommitStatus } from '../../../src/triggers/forge.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';
import { a, makeRepository } from './samples.ts';

const status: CommitStatus = {
  sha: a,
  ref: 'refs/heads/main',
  state: 'passed',
  context: 'cofferdam/push',
  description: 'passed after 3 s',
  url: 'https://ci.example.org/builds/1',
};

function requestOf(kind: ForgeKind, apiUrl: string, change: Partial<CommitStatus> = {}, url?: string) {
  const repository = makeRepository({ forge: kind, apiUrl, ...(url !== undefined && { url }) });
  const request = forgeOf(kind).statusRequest(repository, 'the-token', { ...status, ...change });
  const body: unknown = request && JSON.parse(request.body);
  return request && { ...request, body };
}

const common = {
  accept: 'application/json',
  'content-type': 'application/json',
  'user-agent': 'cofferdam',
};

test.each<[string, object | undefined, object]>([
  [
    'GitHub',
    requestOf('github', 'https://api.github.com/'),
    {
      method: 'POST',
      url: `https://api.github.com/repos/octo/hello/statuses/${a}`,
      headers: { ...common, accept: 'application/vnd.github+json', authorization: 'Bearer the-token' },
      body: {
        state: 'success',
        context: status.context,
        description: status.description,
        target_url: status.url,
      },
    },
  ],
  [
    'GitLab',
    requestOf('gitlab', 'https://gitlab.com/api/v4', {}, 'https://gitlab.com/a/b/c.git'),
    {
      method: 'POST',
      url: `https://gitlab.com/api/v4/projects/a%2Fb%2Fc/statuses/${a}`,
      headers: { ...common, 'private-token': 'the-token' },
      body: {
        state: 'success',
        name: status.context,
        description: status.description,
        target_url: status.url,
        ref: 'main',
      },
    },
  ],
  [
    'Gitea',
    requestOf('gitea', 'https://git.example.org/api/v1'),
    {
      method: 'POST',
      url: `https://git.example.org/api/v1/repos/octo/hello/statuses/${a}`,
      headers: { ...common, authorization: 'token the-token' },
      body: {
        state: 'success',
        context: status.context,
        description: status.description,
        target_url: status.url,
      },
    },
  ],
  [
    'Bitbucket Cloud',
    requestOf('bitbucket', 'https://api.bitbucket.org/2.0'),
    {
      method: 'POST',
      url: `https://api.bitbucket.org/2.0/repositories/octo/hello/commit/${a}/statuses/build`,
      headers: { ...common, authorization: 'Bearer the-token' },
      body: {
        key: status.context,
        name: status.context,
        state: 'SUCCESSFUL',
        description: status.description,
        url: status.url,
      },
    },
  ],
  [
    'Bitbucket Data Center',
    requestOf(
      'bitbucket',
      'https://b.example.org/rest/api/latest',
      {},
      'https://b.example.org/scm/~ann/hello.git',
    ),
    {
      method: 'POST',
      url: `https://b.example.org/rest/api/latest/projects/~ann/repos/hello/commits/${a}/builds`,
      headers: { ...common, authorization: 'Bearer the-token' },
      body: {
        key: status.context,
        name: status.context,
        state: 'SUCCESSFUL',
        description: status.description,
        url: status.url,
        ref: 'refs/heads/main',
      },
    },
  ],
])('%s is told in its own words', (_forge, request, expected) => {
  expect(request).toEqual(expected);
});

describe('states', () => {
  const apis: Readonly<Record<string, readonly [ForgeKind, string]>> = {
    github: ['github', 'https://api.github.com'],
    gitlab: ['gitlab', 'https://gitlab.com/api/v4'],
    forgejo: ['forgejo', 'https://codeberg.org/api/v1'],
    cloud: ['bitbucket', 'https://api.bitbucket.org/2.0'],
    server: ['bitbucket', 'https://b.example.org/rest/api/latest'],
  };
  const names = Object.keys(apis);

  test.each<[Status, ...string[]]>([
    ['queued', 'pending', 'pending', 'pending', 'INPROGRESS', 'INPROGRESS'],
    ['running', 'pending', 'running', 'pending', 'INPROGRESS', 'INPROGRESS'],
    ['passed', 'success', 'success', 'success', 'SUCCESSFUL', 'SUCCESSFUL'],
    ['failed', 'failure', 'failed', 'failure', 'FAILED', 'FAILED'],
    ['timed_out', 'failure', 'failed', 'failure', 'FAILED', 'FAILED'],
    ['errored', 'error', 'failed', 'error', 'FAILED', 'FAILED'],
    ['canceled', 'error', 'canceled', 'error', 'STOPPED', 'CANCELLED'],
  ])('%s', (state, ...expected) => {
    const told = names.map((name) => {
      const [kind, api] = apis[name] ?? ['generic', ''];
      return Object(requestOf(kind, api, { state })?.body)['state'];
    });
    expect(told).toEqual(expected);
  });
});

describe('GitLab is told the ref in its words', () => {
  test.each([
    ['refs/heads/a/b', 'a/b'],
    ['refs/tags/v1', 'v1'],
    ['refs/merge-requests/7/head', 'refs/merge-requests/7/head'],
  ])('%s', (ref, expected) => {
    expect(requestOf('gitlab', 'https://gitlab.com/api/v4', { ref })?.body).toMatchObject({ ref: expected });
  });
});

test('long texts are cut to what a forge takes', () => {
  const long = { description: `${'x'.repeat(138)}\u{1f600}${'y'.repeat(300)}`, context: 'c'.repeat(50) };
  expect(requestOf('github', 'https://api.github.com', long)?.body).toMatchObject({
    description: `${'x'.repeat(138)}…`,
  });
  expect(requestOf('bitbucket', 'https://api.bitbucket.org/2.0', long)?.body).toMatchObject({
    key: `${'c'.repeat(39)}…`,
  });
});

test('nobody is told when there is no API', () => {
  for (const kind of ['github', 'gitlab', 'gitea', 'forgejo', 'bitbucket', 'generic'] as const) {
    expect(forgeOf(kind).statusRequest(makeRepository({ forge: kind }), 't', status)).toBeUndefined();
  }
  expect(requestOf('generic', 'https://example.org')).toBeUndefined();
});

test('a path does not lead out of the API', () => {
  const url = 'https://github.com/octo/..%2F..%2Fuser%3Fx';
  const request = requestOf('github', 'https://api.github.com', {}, url);
  expect(new URL(request?.url ?? '').pathname.split('/')).toHaveLength(6);
});
