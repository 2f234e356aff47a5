import { type FastifyInstance, fastify } from 'fastify';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answerError } from '../../../src/api/problem.ts';
import { takeRawBodies } from '../../../src/api/raw-body.ts';

let app: FastifyInstance;
let url: string;
/** A handler that began waits for it. */
let gate = Promise.withResolvers<void>();
let begun = Promise.withResolvers<void>();
beforeAll(async () => {
  app = fastify();
  app.setErrorHandler(answerError);
  takeRawBodies(app, { one: 100, all: 150 });
  app.post('/', async ({ body }) => {
    begun.resolve();
    await gate.promise;
    return Buffer.isBuffer(body) ? body.toString('hex') : 'none';
  });
  url = await app.listen({ host: '127.0.0.1', port: 0 });
});
afterAll(() => app.close());

const post = (body: string | ReadableStream) =>
  fetch(url, { method: 'POST', body, duplex: 'half', headers: { 'content-type': 'application/json' } });

test('a body is the bytes that came, whatever its type says', async () => {
  gate.resolve();
  expect(await (await post('{ "a" :1}\r\n')).text()).toBe(Buffer.from('{ "a" :1}\r\n').toString('hex'));
});

test.each<[string, () => string | ReadableStream]>([
  ['that says so', () => 'x'.repeat(101)],
  ['that does not say so', () => Readable.toWeb(Readable.from([Buffer.alloc(60), Buffer.alloc(60)]))],
])('one %s is too large', async (_what, body) => {
  gate.resolve();
  expect((await post(body())).status).toBe(413);
});

test('too many at once are told to come again; when they are gone there is room', async () => {
  gate = Promise.withResolvers();
  begun = Promise.withResolvers();
  const first = post('x'.repeat(100));
  await begun.promise;
  const refused = await post('y'.repeat(60));
  expect(refused.status).toBe(503);
  expect(refused.headers.get('retry-after')).toBe('5');
  gate.resolve();
  expect((await first).status).toBe(200);
  let last: Response;
  do last = await post('z'.repeat(100));
  while (last.status === 503);
  expect(last.status).toBe(200);
});
