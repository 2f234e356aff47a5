import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
beforeAll(async () => {
  service = await startService(await redis.connect());
});
afterAll(() => service.stop());

const id = '01JDCK0000000000000000000A';
const routes = [
  ['GET', '/v1/builds', 'read'],
  ['GET', `/v1/builds/${id}`, 'read'],
  ['GET', `/v1/builds/${id}/logs`, 'read'],
  ['GET', `/v1/builds/${id}/artifacts`, 'read'],
  ['GET', `/v1/builds/${id}/artifacts/a`, 'read'],
  ['GET', '/v1/workers', 'read'],
  ['GET', '/v1/queue', 'read'],
  ['POST', '/v1/builds', 'submit'],
  ['POST', `/v1/builds/${id}/cancel`, 'submit'],
  ['POST', `/v1/builds/${id}/retry`, 'submit'],
  ['PUT', `/v1/uploads/${'0'.repeat(64)}`, 'submit'],
  ['GET', '/v1/tokens', 'admin'],
  ['POST', '/v1/tokens', 'admin'],
  ['DELETE', '/v1/tokens/x', 'admin'],
] as const;

describe.each(routes)('%s %s', (method, url, scope) => {
  test.each([
    ['no token', undefined, 401, 'Bearer realm="cofferdam"'],
    ['another scheme', 'Basic cm9vdDpyb290', 401, 'Bearer realm="cofferdam"'],
    ['what is no token', 'Bearer cof_x', 401, 'Bearer realm="cofferdam"'],
    [
      'a token nobody has',
      `Bearer cof_${'a'.repeat(43)}`,
      401,
      'Bearer realm="cofferdam", error="invalid_token"',
    ],
  ] as const)('refuses %s', async (_what, authorization, status, challenge) => {
    const response = await service.app.inject({
      method,
      url,
      headers: authorization ? { authorization } : {},
    });
    expect(response.statusCode).toBe(status);
    expect(response.headers['www-authenticate']).toBe(challenge);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json\b/);
  });

  test(`needs the scope ${scope}`, async () => {
    for (const other of ['read', 'submit', 'admin'] as const) {
      const response = await service.app.inject({
        method,
        url,
        headers: { authorization: service.bearer[other] },
      });
      const allowed = other === scope || other === 'admin';
      expect([other, response.statusCode === 403]).toEqual([other, !allowed]);
      if (!allowed) expect(response.headers['www-authenticate']).toContain(`scope="${scope}"`);
    }
  });
});

test.each(['/healthz', '/readyz', '/version', '/metrics', '/openapi.json'])(
  '%s needs no token',
  async (url) => {
    expect((await service.app.inject({ url })).statusCode).toBe(200);
  },
);
