import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createHttp, UnreachableError } from '../../../src/client/http.ts';
import { RefusedError } from '../../../src/client/problem.ts';
import { type Answer, freePort, serve } from './server.ts';

const patience = { strangerMs: 300, acquaintanceMs: 2_000 };
const open = (url: string, onWait: (why: string) => void = () => {}) =>
  createHttp({ url, token: 'cof_x' }, onWait, patience);
const get = { method: 'GET', path: '/v1/builds' } as const;
const post = { method: 'POST', path: '/v1/builds', body: '{}' } as const;

/** 503, or a broken connection, until the last of so many requests. */
const failing =
  (times: number, how: 'break' | number): Answer =>
  (request, response, count) => {
    if (count >= times) response.end('{}');
    else if (how === 'break') request.socket.destroy();
    else response.writeHead(how, { 'retry-after': '0' }).end();
  };

describe('a request', () => {
  test('has the token, the query and a body as JSON', async () => {
    await using server = await serve((_request, response) => response.end());
    const http = open(`${server.url}/ci/`);
    await http({ ...post, query: { a: '1 2', b: undefined } });
    const [request] = server.requests;
    expect(request?.url).toBe('/ci/v1/builds?a=1+2');
    expect(request?.headers).toMatchObject({
      authorization: 'Bearer cof_x',
      'content-type': 'application/json',
    });
  });

  test.each<[string, Parameters<ReturnType<typeof open>>[0], 'break' | number, number]>([
    ['a GET that broke', get, 'break', 3],
    ['a GET that met 503', get, 503, 3],
    ['a PUT that broke', { method: 'PUT', path: '/v1/uploads/x', body: new Blob(['abc']) }, 'break', 3],
    ['a POST with an Idempotency-Key', { ...post, headers: { 'idempotency-key': 'k' } }, 'break', 3],
    ['a POST that is as good twice', { ...post, repeatable: true }, 503, 3],
    ['a POST that was too early', post, 429, 3],
  ])('is repeated: %s', async (_what, call, how, requests) => {
    await using server = await serve(failing(2, how));
    const response = await open(server.url)(call);
    expect(response.status).toBe(200);
    expect(server.requests).toHaveLength(requests);
  });

  test.each<['break' | number]>([['break'], [503], [500]])(
    'is not repeated when that could do it twice: a POST after %s',
    async (how) => {
      await using server = await serve(failing(2, how));
      await expect(open(server.url)(post)).rejects.toThrow(how === 'break' ? UnreachableError : RefusedError);
      expect(server.requests).toHaveLength(1);
    },
  );

  test('waits for a service that restarts, and says so once', async () => {
    const port = await freePort();
    const told: string[] = [];
    const http = open(`http://127.0.0.1:${port}`, (why) => told.push(why));
    const first = await serve((_request, response) => response.end(), port);
    await http(get);
    await first[Symbol.asyncDispose]();
    const answer = http(post);
    await sleep(700);
    await using second = await serve((_request, response) => response.end('{}'), port);
    expect((await answer).status).toBe(200);
    expect(second.requests).toHaveLength(1);
    expect(told).toEqual([`http://127.0.0.1:${port}: connection refused; trying again`]);
  });

  test('says what the service says of itself, and how long it will try', async () => {
    const told: string[] = [];
    const problem = JSON.stringify({ detail: 'the queue cannot be reached now; try again' });
    await using server = await serve((_request, response, count) => {
      if (count < 3) response.statusCode = 503;
      response.end(problem);
    });
    const target = { url: server.url, token: 'cof_x' };
    const http = createHttp(target, (why) => told.push(why), { ...patience, acquaintanceMs: 120_000 });
    expect((await http(get)).status).toBe(200);
    const why = 'it answers 503, the queue cannot be reached now; trying again for 120 s at most';
    expect(told).toEqual([`${server.url}: ${why}`]);
  });

  test('is told what does not speak TLS', async () => {
    await using server = await serve((_request, response) => response.end());
    const url = server.url.replace('http:', 'https:');
    await expect(open(url)(get)).rejects.toThrow(
      `cannot reach ${url}: what answers does not speak TLS. Write http:// in COFFERDAM_URL, or name the proxy`,
    );
  });

  test('does not wait long for somebody who was never there', async () => {
    const port = await freePort();
    const began = performance.now();
    await expect(open(`http://127.0.0.1:${port}`)(get)).rejects.toThrow(
      `cannot reach http://127.0.0.1:${port}: connection refused. Is cofferdam up running there? ` +
        'COFFERDAM_URL chooses another service',
    );
    expect(performance.now() - began).toBeLessThan(1_500);
  });

  test('ends when it is aborted while it waits', async () => {
    const abort = new AbortController();
    const answer = open(`http://127.0.0.1:${await freePort()}`)({ ...get, signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await expect(answer).rejects.toThrow(expect.objectContaining({ name: 'AbortError' }));
  });
});

describe('what the service refuses', () => {
  test('is told also when the answer has no body', async () => {
    await using server = await serve((_request, response) =>
      response.writeHead(403, { 'www-authenticate': 'Bearer realm="x", scope="submit"' }).end(),
    );
    const head = { method: 'HEAD', path: '/v1/uploads/x' } as const;
    await expect(open(server.url)(head)).rejects.toThrow(
      /403 Forbidden; use a token that has the scope submit/,
    );
  });

  const refused = async (status: number, type: string, body: string) => {
    await using server = await serve((_request, response) =>
      response.writeHead(status, { 'content-type': type }).end(body),
    );
    const error = await open(server.url)({ ...get, signal: AbortSignal.timeout(5_000) }).catch(
      (each: Error) => each,
    );
    if (!(error instanceof RefusedError)) throw error;
    expect(error.status).toBe(status);
    return error.message.replace(server.url, 'URL');
  };

  test('is told in its own words, with each place', async () => {
    const problem = {
      status: 400,
      detail: 'the request does not have the required form',
      errors: [
        { pointer: '#/labels/arch', detail: 'must be string' },
        { parameter: 'limit', detail: 'must be <= 100' },
      ],
    };
    expect(await refused(400, 'application/problem+json', JSON.stringify(problem))).toBe(
      'GET URL/v1/builds: 400 the request does not have the required form\n' +
        '  labels.arch: must be string\n  limit: must be <= 100',
    );
  });

  test.each([
    [401, '{"detail":"the token is not known"}', /401 the token is not known; set COFFERDAM_TOKEN/],
    [404, '<html>not here</html>', /404 Not Found; Cofferdam does not answer so: check COFFERDAM_URL$/],
    [403, '<html>not here</html>', /403 Forbidden$/],
    [404, 'null', /404 Not Found; /],
    [404, '{"detail":5,"errors":7}', /404 Not Found; /],
  ])('%i %s', async (status, body, message) => {
    expect(await refused(status, 'text/html', body)).toMatch(message);
  });
});
