import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { post } from '../../src/statuses/post.ts';

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Tells a forge that answers so of a build; returns what came of it. */
async function tell(answer: RequestListener, timeoutMs: number) {
  server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  const request = { method: 'POST', url: `http://127.0.0.1:${port}/`, headers: {}, body: '{}' } as const;
  return post(request, timeoutMs, new AbortController().signal);
}

test('an answer without end is left after its first few thousand characters', async () => {
  let sent = 0;
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  const answer = await tell((_request, response) => {
    response.writeHead(400);
    const more = () => {
      do sent += 65_536;
      while (response.write(Buffer.alloc(65_536, 'secret ')));
    };
    response.on('drain', more).on('close', resolve);
    more();
  }, 60_000);
  await closed;
  expect(JSON.stringify(answer).length).toBeLessThan(5000);
  expect(sent).toBeLessThan(64 * 1024 ** 2);
});

test('an answer of a byte now and then is given up when its time is over', async () => {
  const answer = await tell((_request, response) => {
    response.writeHead(200);
    const timer = setInterval(() => response.write('x'), 20);
    response.on('close', () => clearInterval(timer));
  }, 500);
  expect(answer).toEqual({ kind: 'silent', why: 'it does not answer within 0.5 s' });
});

test('an answer that points elsewhere is not followed', async () => {
  const asked: (string | undefined)[] = [];
  const answer = await tell((request, response) => {
    asked.push(request.url);
    response.writeHead(307, { location: '/latest/meta-data/' }).end();
  }, 60_000);
  expect(asked).toEqual(['/']);
  expect(answer.kind).not.toBe('accepted');
});
