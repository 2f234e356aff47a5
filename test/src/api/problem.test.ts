import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { useRedis } from '../../redis.ts';
import { startService, type TestService } from './service.ts';

const redis = useRedis();
let service: TestService;
let address: URL;
beforeAll(async () => {
  service = await startService(await redis.connect(), {
    pace: { graceMs: 500, bytesPerSecond: 100_000 },
  });
  address = new URL(await service.listen());
});
afterAll(() => service.stop());

const json = { 'content-type': 'application/json' };
const valid = {
  project: 'p',
  source: { kind: 'none' },
  workflow: 'image: a\nsteps: [{ name: s, commands: [x] }]',
};
const unknownId = '01JDCK0000000000000000000A';

/** Sends raw bytes and gives the whole answer. */
async function raw(...chunks: (string | number)[]): Promise<string> {
  const socket = connect(Number(address.port), address.hostname);
  const answer = text(socket);
  for (const chunk of chunks) {
    if (typeof chunk === 'number') await sleep(chunk);
    else socket.write(chunk);
  }
  return answer;
}

describe('a submission that is wrong names each place', () => {
  test.each([
    ['no project', { project: undefined }, '#/project', 'is missing'],
    ['a project of another type', { project: 5 }, '#/project', 'must be string'],
    ['a number as text', { priority: '5' }, '#/priority', 'must be integer'],
    ['a priority out of range', { priority: 10 }, '#/priority', 'must be <= 9'],
    ['what is not known', { prority: 5 }, '#/prority', 'is not known'],
    ['a line break in the project', { project: 'a\nb' }, '#/project', 'must match pattern'],
    [
      'a digest that is none',
      { source: { kind: 'upload', digest: 'x' } },
      '#/source/digest',
      'must match pattern',
    ],
    ['a source of no kind', { source: {} }, '#/source/kind', 'is missing'],
    ['a source of another kind', { source: { kind: 'svn' } }, '#/source', 'is none of those'],
    ['an upload without digest', { source: { kind: 'upload' } }, '#/source/digest', 'is missing'],
    ['no time', { notBefore: 'tomorrow' }, '#/notBefore', 'must match format'],
    ['a variable with a bad name', { environment: { 'A B': '' } }, '#/environment', "has the name 'A B'"],
    ['a variable that is no text', { environment: { A: 1 } }, '#/environment/A', 'must be string'],
    ['a name to escape', { environment: { 'A/~': null } }, '#/environment/A~1~0', 'must be string'],
    ['no workflow and no source', { workflow: undefined }, '#/workflow', 'is missing'],
    ['a workflow with an error', { workflow: 'steps: 5' }, '#/workflow', 'line 1, column 8'],
  ])('%s', async (_what, change, pointer, detail) => {
    const response = await service.app.inject({
      method: 'POST',
      url: '/v1/builds',
      headers: { authorization: service.bearer.submit, ...json },
      payload: JSON.stringify({ ...valid, ...change }),
    });
    expect(response.statusCode).toBe(400);
    const errors = response.json<{ errors: { pointer: string; detail: string }[] }>().errors;
    expect(errors).toContainEqual({ pointer, detail: expect.stringContaining(detail) });
  });
});

describe('every error is a problem document', () => {
  test.each([
    ['a route that is not there', 'GET', '/nope', {}, undefined, 404],
    ['another method', 'PATCH', '/v1/builds', {}, undefined, 404],
    ['a path that cannot be decoded', 'GET', '/v1/builds/%ff', {}, undefined, 400],
    ['malformed JSON', 'POST', '/v1/builds', json, '{"project":', 400],
    ['no JSON at all', 'POST', '/v1/builds', json, '', 400],
    ['JSON that would change prototypes', 'POST', '/v1/builds', json, '{"__proto__":{"a":1}}', 400],
    ['another media type', 'POST', '/v1/builds', { 'content-type': 'text/xml' }, '<a/>', 415],
    ['plain text', 'POST', '/v1/builds', { 'content-type': 'text/plain' }, 'hello', 415],
    ['a body without a type', 'POST', '/v1/builds', {}, 'hello', 415],
    ['a JSON body that is too large', 'POST', '/v1/builds', json, `"${'x'.repeat(3 * 1024 ** 2)}"`, 413],
    ['an unknown build', 'GET', `/v1/builds/${unknownId}`, {}, undefined, 404],
    ['what is no id', 'GET', '/v1/builds/..%2f..%2fetc', {}, undefined, 404],
    ['an unknown build to cancel', 'POST', `/v1/builds/${unknownId}/cancel`, {}, undefined, 404],
    ['an unknown build to retry', 'POST', `/v1/builds/${unknownId}/retry`, {}, undefined, 404],
    ['the log of an unknown build', 'GET', `/v1/builds/${unknownId}/logs`, {}, undefined, 404],
    ['artifacts of an unknown build', 'GET', `/v1/builds/${unknownId}/artifacts`, {}, undefined, 404],
    ['a cursor that is garbage', 'GET', '/v1/builds?cursor=%00%ff%F0garbage', {}, undefined, 400],
    ['a page that is too long', 'GET', '/v1/builds?limit=1000', {}, undefined, 400],
    ['a state that is none', 'GET', '/v1/builds?status=broken', {}, undefined, 400],
    ['a parameter that is not known', 'GET', '/v1/builds?projct=x', {}, undefined, 400],
    ['a branch of no project', 'GET', '/v1/builds?branch=main', {}, undefined, 400],
    ['a time that is none', 'GET', '/v1/builds?after=yesterday', {}, undefined, 400],
    ['an unknown token', 'DELETE', '/v1/tokens/x', {}, undefined, 404],
  ] as const)('%s', async (_what, method, url, headers, payload, status) => {
    const response = await service.app.inject({
      method,
      url,
      headers: { authorization: service.bearer.admin, 'x-request-id': 'test-1', ...headers },
      ...(payload !== undefined && { payload }),
    });
    expect(response.statusCode).toBe(status);
    expect(response.headers['content-type']).toMatch(/^application\/problem\+json\b/);
    expect(response.json()).toMatchObject({ type: 'about:blank', status, requestId: 'test-1' });
    expect(response.json<{ detail: string }>().detail).not.toBe('');
  });

  test.each([
    ['no HTTP', ['hello\r\n\r\n'], 400],
    ['headers without end', [`GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n`], 431],
  ])('%s', async (_what, chunks, status) => {
    const answer = await raw(...chunks);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toMatchObject({ status });
  });

  test('what the server does wrong is told to its log, not to the client', async () => {
    const broken = await startService(await redis.connect());
    try {
      Object.assign(broken.queue, { stats: () => Promise.reject(new Error('secret detail')) });
      const app = broken.app;
      const url = '/v1/queue';
      const response = await app.inject({
        url,
        headers: { authorization: broken.bearer.read, 'x-request-id': 'r-9' },
      });
      expect(response.statusCode).toBe(500);
      expect(response.body).not.toContain('secret');
      expect(
        broken.logged.filter((line) => line.includes('secret detail') && line.includes('r-9')),
      ).toHaveLength(1);
    } finally {
      await broken.stop();
    }
  });
});

describe('a body that comes slowly', () => {
  const head = (length: number) =>
    `POST /v1/builds HTTP/1.1\r\nHost: a\r\nAuthorization: ${service.bearer.submit}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${length}\r\n\r\n`;

  test('is given up with 408', async () => {
    const began = performance.now();
    const answer = await raw(head(1000), '{', 400, '"a"', 400, ':');
    expect(answer).toMatch(/^HTTP\/1.1 408 /);
    expect(answer).toContain('application/problem+json');
    expect(performance.now() - began).toBeGreaterThan(500);
  });

  test('that breaks off leaves the server well', async () => {
    const socket = connect(Number(address.port), address.hostname);
    socket.write(head(1000) + '{');
    await sleep(50);
    socket.destroy();
    await sleep(50);
    expect((await service.app.inject({ url: '/healthz' })).statusCode).toBe(200);
    expect(service.logged.filter((line) => line.includes('"level":50'))).toEqual([]);
  });
});

describe('request ids', () => {
  test.each([
    ['that are well-formed are kept', 'abc-1.2:3', 'abc-1.2:3'],
    ['that are not are replaced', 'a b"c', expect.stringMatching(/^[0-9A-Z]{26}$/)],
    ['that are missing are made', undefined, expect.stringMatching(/^[0-9A-Z]{26}$/)],
  ])('%s', async (_what, given, expected) => {
    const response = await service.app.inject({
      url: '/healthz',
      headers: given ? { 'x-request-id': given } : {},
    });
    expect(response.headers['x-request-id']).toEqual(expected);
    const id = String(response.headers['x-request-id']);
    expect(service.logged.some((line) => line.includes(id) && line.includes('"url":"/healthz"'))).toBe(true);
  });
});

describe('rate limits', () => {
  test.each([
    ['no token', undefined],
    ['what is no token', 'Bearer x'],
    ['a token nobody has', `Bearer cof_${'a'.repeat(43)}`],
  ])('hold for an address with %s, and for nobody else there', async (_what, authorization) => {
    const limited = await startService(await redis.connect(), { rateLimit: 3 });
    try {
      const ask = (remoteAddress: string, header = authorization) =>
        limited.app.inject({
          url: '/v1/queue',
          remoteAddress,
          headers: header === undefined ? {} : { authorization: header },
        });
      for (let i = 0; i < 3; i++) expect((await ask('192.0.2.1')).statusCode).toBe(401);
      const refused = await ask('192.0.2.1');
      expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '60']);
      expect(refused.json()).toMatchObject({ detail: expect.stringContaining('more than 3 requests') });
      expect((await ask('192.0.2.2')).statusCode).toBe(401);
      expect((await ask('192.0.2.1', limited.bearer.read)).statusCode).toBe(200);
    } finally {
      await limited.stop();
    }
  });

  test('say what is left, and when it starts again, token by token', async () => {
    const limited = await startService(await redis.connect(), { rateLimit: 3 });
    try {
      const ask = (authorization: string) =>
        limited.app.inject({ url: '/v1/queue', headers: { authorization } });
      const first = await ask(limited.bearer.read);
      expect(first.headers).toMatchObject({
        'ratelimit-limit': '3',
        'ratelimit-remaining': '2',
        'ratelimit-reset': '60',
      });
      await ask(limited.bearer.read);
      await ask(limited.bearer.read);
      const refused = await ask(limited.bearer.read);
      expect(refused.statusCode).toBe(429);
      expect(refused.headers).toMatchObject({ 'ratelimit-remaining': '0', 'retry-after': '60' });
      expect(refused.json()).toMatchObject({ status: 429 });
      expect((await ask(limited.bearer.admin)).statusCode).toBe(200);
      expect((await limited.app.inject({ url: '/healthz' })).statusCode).toBe(200);
    } finally {
      await limited.stop();
    }
  });
});
