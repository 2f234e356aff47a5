import { describe, expect, test } from 'vitest';
import type { ForgeKind, RepositoryKeys } from '../../../src/repositories.ts';
import {
  changedKeys,
  changedRepository,
  newRepository,
  type RepositoryChange,
  RepositoryChangeError,
} from '../../../src/repositories/change.ts';
import { rotated } from '../../../src/repositories/webhook-secret.ts';

const app = newRepository({ name: 'acme/app', forge: 'github', url: 'https://github.com/acme/app.git' });

test('a new repository is careful with strangers and builds all events', () => {
  expect(app).toEqual({
    name: 'acme/app',
    forge: 'github',
    url: 'https://github.com/acme/app.git',
    apiUrl: 'https://api.github.com',
    defaultBranch: 'main',
    events: ['push', 'tag', 'pull_request'],
    untrusted: { builds: 'run', network: 'none', limits: {} },
    supersede: ['push', 'pull_request'],
    defaults: {},
    checkout: { submodules: 'none', lfs: 'none', paths: [] },
    hosts: 'public',
    crons: [],
    badge: 'private',
    createdAt: expect.stringMatching(/^\d{4}-.*Z$/),
  });
});

test.for<[ForgeKind, string, string | undefined]>([
  ['github', 'git@github.com:acme/app.git', 'https://api.github.com'],
  ['github', 'https://ghe.example.org/acme/app', 'https://ghe.example.org/api/v3'],
  ['gitlab', 'https://gitlab.com/acme/app', 'https://gitlab.com/api/v4'],
  ['gitlab', 'https://git.example.org:8443/acme/app', 'https://git.example.org:8443/api/v4'],
  ['gitea', 'ssh://git@git.example.org:2222/acme/app', 'https://git.example.org/api/v1'],
  ['forgejo', 'https://codeberg.org/acme/app', 'https://codeberg.org/api/v1'],
  ['bitbucket', 'https://bitbucket.org/acme/app', 'https://api.bitbucket.org/2.0'],
  ['bitbucket', 'https://bb.example.org/scm/acme/app', 'https://bb.example.org/rest/api/latest'],
  ['generic', 'https://github.com/acme/app', undefined],
])('the API of %s at %s is %s', ([forge, url, apiUrl]) => {
  expect(newRepository({ name: 'a', forge, url }).apiUrl).toBe(apiUrl);
});

describe('a change', () => {
  test.for<[string, RepositoryChange, object]>([
    ['nothing', {}, {}],
    ['a branch', { defaultBranch: 'refs/heads/trunk' }, { defaultBranch: 'trunk' }],
    ['no events', { events: [] }, { events: [] }],
    ['the API', { apiUrl: 'https://proxy.example.org/api' }, { apiUrl: 'https://proxy.example.org/api' }],
    [
      'a part of a policy',
      { untrusted: { builds: 'approval', limits: { cpus: 1 } } },
      { untrusted: { builds: 'approval', network: 'none', limits: { cpus: 1 } } },
    ],
    [
      'defaults',
      { defaults: { priority: 7, labels: { a: 'b' } } },
      { defaults: { priority: 7, labels: { a: 'b' } } },
    ],
    [
      'what is checked out',
      { checkout: { lfs: 'fetch', paths: ['src/', 'a/b.c'] } },
      { checkout: { submodules: 'none', lfs: 'fetch', paths: ['src/', 'a/b.c'] } },
    ],
    [
      'another server, whose API follows',
      { url: 'git@ghe.example.org:acme/app' },
      { url: 'ssh://git@ghe.example.org/acme/app', apiUrl: 'https://ghe.example.org/api/v3' },
    ],
    [
      'another path, whose API stays',
      { url: 'https://github.com/acme/new' },
      { url: 'https://github.com/acme/new' },
    ],
    [
      'a server in a private network',
      { hosts: 'internal', url: 'http://git/app' },
      {
        hosts: 'internal',
        url: 'http://git/app',
        apiUrl: 'http://git/api/v3',
      },
    ],
  ])('of %s leaves the rest', ([, change, expected]) => {
    expect(changedRepository(app, change)).toEqual({ ...app, ...expected });
  });

  test('of null takes away', () => {
    const full = changedRepository(app, {
      concurrency: 3,
      untrusted: { limits: { cpus: 1, pids: 100 } },
      defaults: { priority: 7, environment: { A: 'b' } },
    });
    expect(full.concurrency).toBe(3);
    const change = {
      apiUrl: null,
      concurrency: null,
      untrusted: { limits: { cpus: null } },
      defaults: { priority: null },
    };
    const { apiUrl: _, ...without } = app;
    expect(changedRepository(full, change)).toEqual({
      ...without,
      untrusted: { builds: 'run', network: 'none', limits: { pids: 100 } },
      defaults: { environment: { A: 'b' } },
    });
  });

  test.for<[string, RepositoryChange, RegExp]>([
    ['a URL of another kind', { url: 'file:///etc' }, /only https and ssh/],
    ['plain http', { url: 'http://example.org/a' }, /write https/],
    ['a path upwards', { checkout: { paths: ['a', '../b'] } }, /no path below the top/],
    ['an absolute path', { checkout: { paths: ['/etc'] } }, /no path below the top/],
    ['a branch like an option', { defaultBranch: '-x' }, /begins with a dash/],
  ])('to %s is refused', ([, change, message]) => {
    expect(() => changedRepository(app, change)).toThrow(message);
  });
});

describe('keys', () => {
  const https = { kind: 'https', user: 'ci', password: 'hunter2hunter2' } as const;
  const ssh = {
    kind: 'ssh',
    privateKey: '-----BEGIN OPENSSH PRIVATE KEY-----\nabc\n-----END OPENSSH PRIVATE KEY-----\n',
    knownHosts: '# the forge\ngithub.com ssh-ed25519 AAAA\n',
  } as const;
  const none: RepositoryKeys = { webhookSecrets: ['w'] };
  const held: RepositoryKeys = { ...none, git: https, forgeToken: 'token' };
  const same = { from: app, to: app };
  const moved = { from: app, to: changedRepository(app, { url: 'https://evil.example.org/acme/app' }) };
  const overSsh = { from: app, to: changedRepository(app, { url: 'git@github.com:acme/app' }) };

  test('are kept, replaced and taken away', () => {
    expect(changedKeys(none, {}, same)).toEqual(none);
    expect(changedKeys(none, { credentials: https, forgeToken: 'token' }, same)).toEqual(held);
    expect(changedKeys(held, {}, same)).toEqual(held);
    expect(changedKeys(held, { credentials: null, forgeToken: null }, same)).toEqual(none);
    expect(changedKeys(none, { credentials: ssh }, overSsh)).toEqual({ ...none, git: ssh });
  });

  test.for<[string, string, () => unknown]>([
    ['for another server', '/credentials', () => changedKeys({ ...none, git: https }, {}, moved)],
    ['for another API', '/forgeToken', () => changedKeys({ ...none, forgeToken: 't' }, {}, moved)],
    ['of another kind', '/credentials/kind', () => changedKeys(none, { credentials: ssh }, same)],
    [
      'that are a public key',
      '/credentials/privateKey',
      () => changedKeys(none, { credentials: { ...ssh, privateKey: 'ssh-ed25519 AAAA' } }, overSsh),
    ],
    [
      'without known hosts',
      '/credentials/knownHosts',
      () => changedKeys(none, { credentials: { ...ssh, knownHosts: '# none\n' } }, overSsh),
    ],
  ])('%s are refused, at %s', ([, pointer, change]) => {
    expect(change).toThrow(RepositoryChangeError);
    expect(change).toThrow(expect.objectContaining({ pointer }));
  });

  test('given anew go with another server', () => {
    const given = { credentials: { ...https, user: 'new' }, forgeToken: 'new' };
    expect(changedKeys(held, given, moved)).toEqual({ ...none, git: given.credentials, forgeToken: 'new' });
  });
});

test('a webhook secret is changed without a gap, or at once', () => {
  const keys = { webhookSecrets: ['1'], forgeToken: 't' };
  const begun = rotated(keys, { step: 'begin', secret: '2' });
  expect(begun).toEqual({ webhookSecrets: ['2', '1'], forgeToken: 't' });
  expect(rotated(begun, { step: 'finish' }).webhookSecrets).toEqual(['2']);
  expect(rotated(begun, { step: 'begin', secret: '3' }).webhookSecrets).toEqual(['3', '2']);
  expect(rotated(begun, { step: 'replace', secret: '3' }).webhookSecrets).toEqual(['3']);
  expect(rotated(keys, { step: 'finish' }).webhookSecrets).toEqual(['1']);
});
