import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RepositoryDetails, RepositoryRequest } from '../../../src/api/repository.ts';
import { useRedis } from '../../redis.ts';
import { textsIn } from '../redis-texts.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect(), { publicUrl: 'https://ci.example.org/cofferdam' });
});
afterEach(async () => {
  for (const { name } of await service.repositories.list()) await service.repositories.remove(name);
});
afterAll(() => service.stop());

type Method = 'GET' | 'POST' | 'PATCH' | 'DELETE';
const ask = (method: Method, url: string, payload?: object, as: 'read' | 'submit' | 'admin' = 'admin') =>
  service.app.inject({
    method,
    url,
    headers: { authorization: service.bearer[as] },
    ...(payload && { payload }),
  });

const app = { url: 'https://github.com/acme/app.git', forge: 'github' } as const;
const add = (more: Partial<RepositoryRequest> = {}) => ask('POST', '/v1/repos', { ...app, ...more });

const privateKey = '-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n-----END OPENSSH PRIVATE KEY-----\n';
const knownHosts = 'github.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5\n';

describe('a repository', () => {
  test('is added with its webhook, whose secret is told this once', async () => {
    const made = await add();
    expect(made.statusCode).toBe(201);
    expect(made.headers).toMatchObject({ location: '/v1/repos/acme/app', 'cache-control': 'no-store' });
    const { webhookSecret, ...rest } = made.json<RepositoryDetails & { webhookSecret: string }>();
    expect(webhookSecret).toMatch(/^[\w-]{43}$/);
    expect(rest).toMatchObject({
      name: 'acme/app',
      apiUrl: 'https://api.github.com',
      untrusted: { builds: 'run', network: 'none', limits: {} },
      webhookUrl: 'https://ci.example.org/cofferdam/v1/hooks/github/acme/app',
      keys: { webhookSecrets: 1, credentials: 'none', forgeToken: 'none' },
    });
    expect((await ask('GET', '/v1/repos/acme/app')).json()).toEqual(rest);
    const { keys: _, ...listed } = rest;
    expect((await ask('GET', '/v1/repos')).json()).toEqual({ repositories: [listed] });
    expect((await service.repositories.keys('acme/app'))?.webhookSecrets).toEqual([webhookSecret]);
  });

  test.for(['acme/app', 'acme%2Fapp', 'ACME/App', 'acme%2fapp'])('is found as %s', async (path) => {
    await add();
    expect((await ask('GET', `/v1/repos/${path}`)).json()).toMatchObject({ name: 'acme/app' });
    expect((await ask('PATCH', `/v1/repos/${path}`, { concurrency: 3 })).json()).toMatchObject({
      concurrency: 3,
    });
    expect((await ask('POST', `/v1/repos/${path}/webhook-secret`, { step: 'replace' })).statusCode).toBe(200);
    expect((await ask('DELETE', `/v1/repos/${path}`)).statusCode).toBe(204);
    expect((await ask('GET', `/v1/repos/${path}`)).statusCode).toBe(404);
  });

  test('is there once, whatever the case of its name', async () => {
    await add();
    const again = await add({ name: 'Acme/APP' });
    expect(again.statusCode).toBe(409);
    expect(again.json()).toMatchObject({ errors: [{ pointer: '#/name' }] });
  });

  test('never tells its secrets, in no answer and in no log', async () => {
    const https = { kind: 'https', user: 'ci', password: 'password-4711' } as const;
    const given = {
      credentials: https,
      forgeToken: 'forge-token-4711',
      webhookSecret: 'webhook-secret-4711',
    };
    const secrets = ['password-4711', 'forge-token-4711', 'webhook-secret-4711'];
    expect((await add(given)).statusCode).toBe(201);
    await ask('PATCH', '/v1/repos/acme/app', { forgeToken: 'forge-token-4711', concurrency: 0 });
    const answers = [
      await ask('GET', '/v1/repos/acme/app'),
      await ask('GET', '/v1/repos'),
      await ask('PATCH', '/v1/repos/acme/app', { credentials: https, concurrency: 1 }),
      await ask('POST', '/v1/repos/acme/app/webhook-secret', { step: 'finish' }),
    ];
    expect(answers[0]?.json()).toMatchObject({ keys: { credentials: 'https', forgeToken: 'set' } });
    const said = answers.map(({ body }) => body).join('') + service.logged.join('');
    const kept = await textsIn(service.redis.client);
    for (const secret of secrets) {
      expect(said).not.toContain(secret);
      expect(kept).not.toContain(secret);
    }
  });

  test('is shown to readers and changed by admins', async () => {
    await add();
    for (const as of ['read', 'submit'] as const) {
      expect((await ask('GET', '/v1/repos', undefined, 'read')).statusCode).toBe(200);
      expect((await ask('POST', '/v1/repos', app, as)).statusCode).toBe(403);
      expect((await ask('PATCH', '/v1/repos/acme/app', {}, as)).statusCode).toBe(403);
      expect((await ask('DELETE', '/v1/repos/acme/app', undefined, as)).statusCode).toBe(403);
      for (const path of ['acme/app', 'acme%2Fapp']) {
        const url = `/v1/repos/${path}/webhook-secret`;
        expect((await ask('POST', url, { step: 'begin' }, as)).statusCode).toBe(403);
      }
    }
  });
});

test('a change changes what it says, and null takes away', async () => {
  await add({ concurrency: 2, defaults: { priority: 7, environment: { A: 'b' } } });
  const changed = await ask('PATCH', '/v1/repos/acme/app', {
    url: 'git@github.com:acme/app.git',
    credentials: { kind: 'ssh', privateKey, knownHosts },
    concurrency: null,
    untrusted: { limits: { memoryBytes: 1024 ** 3 } },
    defaults: { priority: null },
  });
  expect(changed.json()).toMatchObject({
    url: 'ssh://git@github.com/acme/app.git',
    untrusted: { builds: 'run', limits: { memoryBytes: 1024 ** 3 } },
    defaults: { environment: { A: 'b' } },
    keys: { credentials: 'ssh' },
  });
  expect(changed.json()).not.toHaveProperty('concurrency');
  expect(await service.repositories.keys('acme/app')).toMatchObject({
    git: { kind: 'ssh', privateKey, knownHosts },
  });
});

test('a secret of a webhook is changed without a gap', async () => {
  await add({ webhookSecret: 'the first one, long'.replaceAll(' ', '-') });
  const rotate = async (body: object) => {
    const { url, secret } = (await ask('POST', '/v1/repos/acme/app/webhook-secret', body)).json<{
      url: string;
      secret?: string;
    }>();
    expect(url).toBe('https://ci.example.org/cofferdam/v1/hooks/github/acme/app');
    return { secret, kept: (await service.repositories.keys('acme/app'))?.webhookSecrets };
  };
  const begun = await rotate({ step: 'begin' });
  expect(begun.kept).toEqual([begun.secret, 'the-first-one,-long']);
  expect((await ask('GET', '/v1/repos/acme/app')).json()).toMatchObject({ keys: { webhookSecrets: 2 } });
  expect(await rotate({ step: 'finish' })).toEqual({ secret: undefined, kept: [begun.secret] });
  expect((await rotate({ step: 'replace', secret: 's'.repeat(16) })).kept).toEqual(['s'.repeat(16)]);
});

test.for<[string, object, string, RegExp]>([
  ['no URL', { url: undefined }, '#/url', /is missing/],
  ['no forge', { forge: undefined }, '#/forge', /is missing/],
  ['a forge that is none', { forge: 'svn' }, '#/forge', /one of github, gitlab/],
  ['a file', { url: 'file:///etc' }, '#/url', /only https and ssh are used/],
  ['credentials in the URL', { url: 'https://a:b@github.com/x' }, '#/url', /has a user or password in it/],
  ['a name that is none', { name: 'a/../b' }, '#/name', /cannot name a repository/],
  [
    'a URL without a name',
    { url: 'https://github.com/~a/b' },
    '#/name',
    /is missing, and the URL tells none/,
  ],
  ['an unknown key', { branch: 'x' }, '#/branch', /is not known/],
  ['an event that is none', { events: ['star'] }, '#/events/0', /one of push, tag, pull_request/],
  ['an event twice', { events: ['push', 'push'] }, '#/events', /duplicate/],
  ['a limit that is none', { untrusted: { limits: { cpus: 0 } } }, '#/untrusted/limits/cpus', /must be > 0/],
  ['a priority of 10', { defaults: { priority: 10 } }, '#/defaults/priority', /must be <= 9/],
  ['a path upwards', { checkout: { paths: ['../a'] } }, '#/checkout/paths/0', /no path below the top/],
  ['an API over ftp', { apiUrl: 'ftp://a' }, '#/apiUrl', /must match pattern/],
  ['a weak webhook secret', { webhookSecret: 'short' }, '#/webhookSecret', /fewer than 16/],
  [
    'half of credentials',
    { credentials: { kind: 'https', user: 'a' } },
    '#/credentials/password',
    /is missing/,
  ],
  ['credentials of no kind', { credentials: { kind: 'x' } }, '#/credentials', /is none of those/],
  [
    'ssh credentials for https',
    { credentials: { kind: 'ssh', privateKey, knownHosts } },
    '#/credentials/kind',
    /needs https/,
  ],
  [
    'a password of two lines',
    { credentials: { kind: 'https', user: 'a', password: 'a\nb' } },
    '#/credentials/password',
    /pattern/,
  ],
])('%s is refused, with its place', async ([, more, pointer, detail]) => {
  const response = await add(more);
  expect(response.statusCode).toBe(400);
  expect(response.json()).toMatchObject({ errors: [{ pointer, detail: expect.stringMatching(detail) }] });
  expect(await service.repositories.list()).toEqual([]);
});

test.for<[string, object, string]>([
  ['its name', { name: 'b' }, '#/name'],
  ['its forge', { forge: 'gitlab' }, '#/forge'],
  ['null where something must be', { events: null }, '#/events'],
  ['another server, with its old password', { url: 'https://example.org/a' }, '#/credentials'],
])('a change of %s is refused', async ([, patch, pointer]) => {
  await add({ credentials: { kind: 'https', user: 'a', password: 'b' } });
  const response = await ask('PATCH', '/v1/repos/acme/app', patch);
  expect(response.statusCode).toBe(400);
  expect(response.json()).toMatchObject({ errors: [{ pointer }] });
});

test.for([
  ['GET', '/v1/repos/none'],
  ['PATCH', '/v1/repos/none'],
  ['DELETE', '/v1/repos/none'],
  ['POST', '/v1/repos/none/webhook-secret'],
  ['POST', '/v1/repos/a/b/webhook-secret'],
  ['POST', '/v1/repos/a/b'],
] as const)('%s %s: there is none', async ([method, url]) => {
  const body = { GET: undefined, DELETE: undefined, PATCH: {}, POST: { step: 'begin' } }[method];
  const response = await ask(method, url, body);
  expect(response.statusCode).toBe(404);
  expect(response.headers['content-type']).toMatch('application/problem+json');
});

test('when the key is gone, it is told which and what to do', async () => {
  const other = await startService(await redis.connect());
  try {
    rmSync(join(other.directory, 'secret.key'));
    const response = await other.app.inject({
      method: 'POST',
      url: '/v1/repos',
      headers: { authorization: other.bearer.admin },
      payload: app,
    });
    expect(response.statusCode).toBe(500);
    expect(response.json()).toMatchObject({
      detail: expect.stringMatching(/secret\.key: it is not there; copy it/),
    });
  } finally {
    await other.stop();
  }
});
