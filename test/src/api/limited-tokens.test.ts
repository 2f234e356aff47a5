import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
/** Good for acme/app and all of tools. */
let limited: string;
let own: string;
let others: string;

beforeAll(async () => {
  service = await startService(await redis.connect());
  const { secret } = await service.tokens.create({
    name: 'app',
    scopes: ['read', 'submit'],
    projects: ['acme/app', 'tools/*'],
  });
  limited = `Bearer ${secret}`;
  for (const url of ['https://github.com/acme/app', 'https://github.com/acme/private']) {
    expect((await ask('POST', '/v1/repos', { url, forge: 'github' }, service.bearer.admin)).statusCode).toBe(
      201,
    );
  }
  own = await built('acme/app');
  others = await built('acme/private');
});
afterAll(() => service.stop());

function ask(method: 'GET' | 'POST' | 'PUT', url: string, payload?: object, authorization = limited) {
  return service.app.inject({ method, url, headers: { authorization }, ...(payload && { payload }) });
}

const none = {
  source: { kind: 'none' },
  workflow: 'image: bootstrap:bookworm\nsteps: [{ commands: [make] }]',
};

async function built(project: string): Promise<string> {
  const response = await ask('POST', '/v1/builds', { ...none, project }, service.bearer.submit);
  expect(response.statusCode).toBe(202);
  return response.json<{ id: string }>().id;
}

describe('a token for some projects', () => {
  test.each([
    ['a build of one of them', { ...none, project: 'acme/app' }, 202],
    ['one of an owner of which it has all', { ...none, project: 'tools/lint' }, 202],
    ['one in other letters, which means the same repository', { ...none, project: 'Acme/App' }, 202],
    ['a commit of one', { source: { kind: 'git', repository: 'acme/app' } }, 202],
    ['another', { ...none, project: 'acme/private' }, 403],
    ['one that begins alike', { ...none, project: 'acme/app2' }, 403],
    ['the owner itself', { ...none, project: 'tools' }, 403],
    ['a commit of another', { source: { kind: 'git', repository: 'acme/private' } }, 403],
    [
      'a commit of another in the name of one',
      { source: { kind: 'git', repository: 'acme/private' }, project: 'acme/app' },
      403,
    ],
    [
      'the same by its address',
      {
        source: { kind: 'git', url: 'https://github.com/acme/private.git', ref: 'main' },
        project: 'acme/app',
      },
      403,
    ],
  ])('submits %s', async (_what, payload, status) => {
    const response = await ask('POST', '/v1/builds', payload);
    expect([response.statusCode, response.body]).toEqual([status, expect.anything()]);
  });

  test('is not told which other repositories there are', async () => {
    const said = async (repository: string) => {
      const response = await ask('POST', '/v1/builds', { source: { kind: 'git', repository } });
      return [response.statusCode, response.json<{ detail: string }>().detail.replace(repository, '')];
    };
    expect(await said('acme/private')).toEqual(await said('acme/nothing'));
  });

  test.each([
    ['GET', ''],
    ['GET', '/logs'],
    ['GET', '/artifacts'],
    ['GET', '/artifacts/a'],
    ['POST', '/cancel'],
    ['POST', '/retry'],
  ] as const)('%s /v1/builds/:id%s of another project is an unknown build', async (method, path) => {
    const [mine, theirs, unknown] = await Promise.all(
      [own, others, '01JDCK0000000000000000000A'].map((id) => ask(method, `/v1/builds/${id}${path}`)),
    );
    const { detail } = theirs?.json<{ detail: string }>() ?? {};
    expect(detail?.replace(others, '')).toBe(
      unknown?.json<{ detail: string }>().detail.replace('01JDCK0000000000000000000A', ''),
    );
    expect(theirs?.statusCode).toBe(404);
    expect(mine?.statusCode === 404).toBe(path === '/artifacts/a');
  });

  test('lists what it is for', async () => {
    const list = async (query: string, authorization = limited) => {
      const response = await ask('GET', `/v1/builds${query}`, undefined, authorization);
      const projects = response
        .json<{ builds?: { project: string }[] }>()
        .builds?.map(({ project }) => project);
      return projects ? [...new Set(projects)] : response.statusCode;
    };
    expect(await list('?project=acme/app')).toEqual(['acme/app']);
    expect(await list('?project=acme/private')).toBe(403);
    expect(await list('')).toBe(403);
    const { secret } = await service.tokens.create({
      name: 'one',
      scopes: ['read'],
      projects: ['acme/private'],
    });
    expect(await list('', `Bearer ${secret}`)).toEqual(['acme/private']);
  });

  test.each(['/v1/queue', '/v1/workers', '/v1/repos', '/v1/secrets', '/v1/crons', '/v1/deliveries'])(
    'has no access to %s, which is of the whole service',
    async (url) => {
      expect((await ask('GET', url)).statusCode).toBe(403);
    },
  );
});

test.each([
  ['no project', { scopes: ['read'], projects: [] }, '#/projects'],
  ['every project', { scopes: ['read'], projects: ['*'] }, '#/projects/0'],
  ['a pattern', { scopes: ['read'], projects: ['acme/a*'] }, '#/projects/0'],
  ['everything in one project', { scopes: ['admin'], projects: ['acme/app'] }, '#/projects'],
])('a token for %s is refused', async (_what, payload, pointer) => {
  const response = await ask('POST', '/v1/tokens', { name: 'a', ...payload }, service.bearer.admin);
  expect(response.statusCode).toBe(400);
  expect(response.json()).toMatchObject({ errors: [{ pointer }] });
});
