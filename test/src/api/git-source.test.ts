import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RepositoryRequest } from '../../../src/api/repository.ts';
import type { BuildSpec } from '../../../src/spec.ts';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
  const repositories: RepositoryRequest[] = [
    {
      url: 'https://github.com/acme/app.git',
      forge: 'github',
      defaultBranch: 'trunk',
      defaults: {
        priority: 7,
        labels: { arch: 'arm64', a: '1' },
        environment: { A: 'default', B: 'default' },
      },
    },
    { url: 'http://git.internal:3000/acme/tool', forge: 'gitea', hosts: 'internal' },
  ];
  for (const payload of repositories) {
    const headers = { authorization: service.bearer.admin };
    expect(
      (await service.app.inject({ method: 'POST', url: '/v1/repos', headers, payload })).statusCode,
    ).toBe(201);
  }
});
afterAll(() => service.stop());

const sha = 'a'.repeat(40);

const submit = (source: object, more: object = {}) =>
  service.app.inject({
    method: 'POST',
    url: '/v1/builds',
    headers: { authorization: service.bearer.submit },
    payload: { source: { kind: 'git', ...source }, ...more },
  });

async function specOf(source: object, more: object = {}): Promise<BuildSpec> {
  const response = await submit(source, more);
  expect([response.statusCode, response.body]).toEqual([202, expect.anything()]);
  const stored = await service.records.get(response.json<{ id: string }>().id);
  if (!stored) throw new Error('the build is not there');
  return stored.spec;
}

const app = { kind: 'git', url: 'https://github.com/acme/app.git', repository: 'acme/app', repo: 'acme/app' };
const other = { kind: 'git', url: 'https://github.com/acme/other', repo: 'acme/other' };
const tool = {
  kind: 'git',
  url: 'http://git.internal:3000/acme/tool',
  repository: 'acme/tool',
  repo: 'acme/tool',
};

test.for<[string, object, object]>([
  ['a name', { repository: 'acme/app' }, { ...app, ref: 'refs/heads/trunk' }],
  ['a name in another case', { repository: 'ACME/App', ref: 'main' }, { ...app, ref: 'refs/heads/main' }],
  ['a tag', { repository: 'acme/app', ref: 'refs/tags/v1' }, { ...app, ref: 'refs/tags/v1' }],
  ['a commit', { repository: 'acme/app', sha: sha.toUpperCase() }, { ...app, sha }],
  ['a commit of a branch', { repository: 'acme/app', ref: 'b', sha }, { ...app, ref: 'refs/heads/b', sha }],
  ['a registered URL', { url: 'https://GITHUB.com/acme/app', ref: 'b' }, { ...app, ref: 'refs/heads/b' }],
  [
    'one of a private network',
    { url: 'http://git.internal:3000/acme/tool.git', ref: 'b' },
    { ...tool, ref: 'refs/heads/b' },
  ],
  ['another URL', { url: 'https://github.com/acme/other', ref: 'b/c' }, { ...other, ref: 'refs/heads/b/c' }],
  [
    'the short form of ssh',
    { url: 'git@github.com:acme/other', sha },
    { ...other, url: 'ssh://git@github.com/acme/other', sha },
  ],
])('%s is a source', async ([, source, expected]) => {
  expect((await specOf(source)).source).toEqual(expected);
});

test('a build of a registered repository has its defaults, unless it says otherwise', async () => {
  expect(await specOf({ repository: 'acme/app' })).toMatchObject({
    project: 'acme/app',
    trigger: { kind: 'manual', actor: 'submit' },
    trust: 'trusted',
    priority: 7,
    labels: { arch: 'arm64', a: '1' },
    environment: { A: 'default', B: 'default' },
  });
  const more = { project: 'p', priority: 2, labels: { a: '2' }, environment: { B: 'own' } };
  expect(await specOf({ repository: 'acme/app' }, more)).toMatchObject({
    project: 'p',
    priority: 2,
    labels: { arch: 'arm64', a: '2' },
    environment: { A: 'default', B: 'own' },
  });
  expect(await specOf({ url: 'https://github.com/acme/other', sha })).toMatchObject({
    project: 'acme/other',
    priority: 5,
    labels: {},
    environment: {},
  });
});

test.for<[string, object, number, string, RegExp]>([
  ['nothing', {}, 400, 'repository', /is needed, or url, and not both/],
  ['both', { repository: 'acme/app', url: app.url }, 400, 'repository', /not both/],
  ['a name that is not known', { repository: 'acme/none' }, 422, 'repository', /is not known/],
  ['no commit', { url: 'https://github.com/acme/other' }, 400, 'ref', /is missing: a branch/],
  ['a ref like an option', { repository: 'acme/app', ref: '--output=x' }, 400, 'ref', /begins with a dash/],
  ['a ref upwards', { repository: 'acme/app', ref: 'refs/heads/../x' }, 400, 'ref', /'\.\.'/],
  ['a ref with a newline', { repository: 'acme/app', ref: 'a\nb' }, 400, 'ref', /control character/],
  ['half a commit', { repository: 'acme/app', sha: 'abc1234' }, 400, 'sha', /all 40 or 64/],
  ['a file', { url: 'file:///etc', ref: 'b' }, 400, 'url', /only https and ssh are used/],
  ['a helper', { url: 'ext::sh -c x', ref: 'b' }, 400, 'url', /space|transport/],
  ['plain http', { url: 'http://git.internal:3000/acme/else', ref: 'b' }, 400, 'url', /write https/],
  ['a password', { url: 'https://ci:hunter2@github.com/acme/app', ref: 'b' }, 400, 'url', /user or password/],
])('%s is no source', async ([, source, status, part, detail]) => {
  const response = await submit(source);
  expect(response.statusCode).toBe(status);
  expect(response.json()).toMatchObject({
    errors: [{ pointer: `#/source/${part}`, detail: expect.stringMatching(detail) }],
  });
  expect(response.body).not.toContain('hunter2');
});

test('only a repository tells what is built; other sources need a project', async () => {
  const response = await service.app.inject({
    method: 'POST',
    url: '/v1/builds',
    headers: { authorization: service.bearer.submit },
    payload: { source: { kind: 'none' }, workflow: 'image: a\nsteps: [{ name: s, commands: [x] }]' },
  });
  expect(response.statusCode).toBe(400);
  expect(response.json()).toMatchObject({ errors: [{ pointer: '#/project', detail: 'is missing' }] });
});
