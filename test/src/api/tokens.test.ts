import { afterAll, beforeAll, expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
});
afterAll(() => service.stop());

const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object) =>
  service.app.inject({
    method,
    url,
    headers: { authorization: service.bearer.admin },
    ...(payload && { payload }),
  });

const listed = async () =>
  (await ask('GET', '/v1/tokens')).json<{ tokens: { id: string; name: string }[] }>().tokens;

test('a token is made, listed without its secret, and revoked at once', async () => {
  const made = await ask('POST', '/v1/tokens', { name: 'forge', scopes: ['read', 'submit'] });
  expect(made.statusCode).toBe(201);
  const { id, secret, ...rest } = made.json<{ id: string; secret: string }>();
  expect(made.headers).toMatchObject({ location: `/v1/tokens/${id}`, 'cache-control': 'no-store' });
  expect(rest).toMatchObject({ name: 'forge', scopes: ['read', 'submit'] });
  expect((await listed()).at(-1)).toEqual({ id, ...rest });

  const read = () => service.app.inject({ url: '/v1/queue', headers: { authorization: `Bearer ${secret}` } });
  expect((await read()).statusCode).toBe(200);
  expect((await ask('DELETE', `/v1/tokens/${id}`)).statusCode).toBe(204);
  expect((await read()).statusCode).toBe(401);
  expect((await ask('DELETE', `/v1/tokens/${id}`)).statusCode).toBe(404);
});

test('a token does not revoke itself', async () => {
  const own = (await listed()).find(({ name }) => name === 'admin');
  expect((await ask('DELETE', `/v1/tokens/${own?.id}`)).statusCode).toBe(409);
  expect((await ask('GET', '/v1/tokens')).statusCode).toBe(200);
});

test.each([
  ['no name', { scopes: ['read'] }, '#/name'],
  ['a name of two lines', { name: 'a\nb', scopes: ['read'] }, '#/name'],
  ['no scope', { name: 'a', scopes: [] }, '#/scopes'],
  ['a scope that is none', { name: 'a', scopes: ['root'] }, '#/scopes/0'],
  ['a secret of its own', { name: 'a', scopes: ['read'], secret: 'x' }, '#/secret'],
])('a token with %s is refused', async (_what, payload, pointer) => {
  const response = await ask('POST', '/v1/tokens', payload);
  expect(response.statusCode).toBe(400);
  expect(response.json()).toMatchObject({ errors: [{ pointer }] });
});
