import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { newRepository } from '../../../src/repositories/change.ts';
import { useRedis } from '../../redis.ts';
import { textsIn } from '../redis-texts.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
});
beforeEach(async () => {
  await service.repositories.remove('Acme/app');
  const repository = newRepository({ name: 'Acme/app', forge: 'github', url: 'https://github.com/acme/app' });
  await service.repositories.add(repository, { webhookSecrets: ['x'] });
});
afterAll(() => service.stop());

type Method = 'GET' | 'PUT' | 'DELETE';
const ask = (method: Method, url: string, payload?: object, as: 'read' | 'submit' | 'admin' = 'admin') =>
  service.app.inject({
    method,
    url: `/v1/secrets${url}`,
    headers: { authorization: service.bearer[as] },
    ...(payload && { payload }),
  });
const names = async (query = '') =>
  (await ask('GET', query)).json<{ secrets: { name: string }[] }>().secrets.map(({ name }) => name);

describe('a secret', () => {
  test.for(['acme/app', 'Acme%2Fapp'])('of a repository, %s, is put, listed and removed', async (owner) => {
    const path = `/repository/${owner}/NPM_TOKEN`;
    const put = await ask('PUT', path, { value: 'very secret 1', triggers: ['tag'] });
    expect(put.statusCode).toBe(200);
    expect(put.json()).toMatchObject({
      name: 'NPM_TOKEN',
      scope: { kind: 'repository', name: 'Acme/app' },
      triggers: ['tag'],
    });
    expect((await ask('PUT', path, { value: 'very secret 2' })).json()).toMatchObject({ triggers: [] });
    expect(await names(`?repository=${owner}`)).toEqual(['NPM_TOKEN']);
    expect((await service.secrets.valuesFor('Acme/app', 'push')).get('NPM_TOKEN')).toBe('very secret 2');
    expect((await ask('DELETE', path)).statusCode).toBe(204);
    expect((await ask('DELETE', path)).statusCode).toBe(404);
    expect(await names()).toEqual([]);
  });

  test('of an organization is for its repositories, also for those to come', async () => {
    expect((await ask('PUT', '/organization/acme/team/A', { value: 'very secret' })).statusCode).toBe(200);
    expect(await names('?organization=acme')).toEqual([]);
    expect(await names('?organization=acme/team')).toEqual(['A']);
    expect((await service.secrets.valuesFor('acme/team/new', 'push')).size).toBe(1);
    expect((await ask('DELETE', '/organization/acme%2Fteam/A')).statusCode).toBe(204);
  });

  test('is never told again, and nowhere to be read', async () => {
    const value = 'value-that-is-nowhere-4711';
    const answers = [
      await ask('PUT', '/repository/acme/app/A', { value }),
      await ask('PUT', '/repository/acme/app/A-', { value, more: value }),
      await ask('PUT', '/repository/acme/app/-A', { value }),
      await ask('PUT', '/repository/none/A', { value }),
      await ask('GET', ''),
      await ask('DELETE', '/repository/acme/app/A'),
    ];
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 400, 400, 404, 200, 204]);
    const said = answers.map(({ body }) => body).join('') + service.logged.join('');
    expect(said).not.toContain(value);
    expect(await textsIn(service.redis.client)).not.toContain(value);
  });

  test('is listed for readers and set by admins', async () => {
    for (const as of ['read', 'submit'] as const) {
      expect((await ask('GET', '', undefined, 'read')).statusCode).toBe(200);
      for (const owner of ['acme/app', 'acme%2Fapp']) {
        expect((await ask('PUT', `/repository/${owner}/A`, { value: 'very secret' }, as)).statusCode).toBe(
          403,
        );
        expect((await ask('DELETE', `/repository/${owner}/A`, undefined, as)).statusCode).toBe(403);
      }
    }
  });
});

test.for<[string, string, object, number, RegExp]>([
  ['too short', '/repository/acme/app/A', { value: '1234567' }, 400, /at least 8 bytes, and this one has 7/],
  ['too long', '/repository/acme/app/A', { value: 'x'.repeat(65_537) }, 400, /at most 64 KiB/],
  ['no text', '/repository/acme/app/A', { value: 12_345_678 }, 400, /required form/],
  [
    'with a trigger that is none',
    '/repository/acme/app/A',
    { value: 'x'.repeat(8), triggers: ['star'] },
    400,
    /form/,
  ],
  [
    'with a name that is none',
    '/repository/acme/app/A.B',
    { value: 'x'.repeat(8) },
    400,
    /cannot name a secret/,
  ],
  [
    'of no repository',
    '/repository/acme/none/A',
    { value: 'x'.repeat(8) },
    404,
    /no repository "acme\/none"/,
  ],
  ['of nobody', '/repository/A', { value: 'x'.repeat(8) }, 404, /no repository ""/],
  ['of what is no organization', '/organization/.acme/A', { value: 'x'.repeat(8) }, 404, /cannot name/],
  ['of another scope', '/user/acme/A', { value: 'x'.repeat(8) }, 400, /required form/],
])('one that is %s is refused', async ([, path, body, status, detail]) => {
  const response = await ask('PUT', path, body);
  expect(response.statusCode).toBe(status);
  expect(response.json()).toMatchObject({ detail: expect.stringMatching(detail) });
  expect(await names()).toEqual([]);
});
