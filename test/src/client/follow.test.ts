import type { IncomingMessage, ServerResponse } from 'node:http';
import { describe, expect, test } from 'vitest';
import { type BuildEvent, followBuild, ProtocolError } from '../../../src/client/follow.ts';
import { createHttp } from '../../../src/client/http.ts';
import { RefusedError } from '../../../src/client/problem.ts';
import { type Answer, serve } from './server.ts';

const id = '01M7ABCDEFGHJKMNPQRSTVWXYZ';
const text = Buffer.from(
  Array.from({ length: 400 }, (_, i) => `${i} – ${'ö'.repeat(i % 30)}\n`)
    .join('')
    .concat('\0\x1b[31m'),
);

interface Piece {
  readonly attempt?: number;
  readonly offset: number;
  readonly data: Buffer;
}

function event(type: string, data: object, eventId?: string): string {
  return `event: ${type}\n${eventId === undefined ? '' : `id: ${eventId}\n`}data: ${JSON.stringify(data)}\n\n`;
}

function log({ attempt = 1, offset, data }: Piece, more: object = {}): string {
  const entry = { attempt, offset, step: 'test', base64: data.toString('base64'), ...more };
  return event('log', entry, `${attempt}:${offset + data.length}`);
}

const end = event('end', { record: { id, status: 'passed' } }, 'end');

/** The whole log in pieces of a size, from the byte that Last-Event-ID names. */
function* pieces({ headers }: IncomingMessage, size: number): Generator<string> {
  const lastEventId = headers['last-event-id'];
  const from = typeof lastEventId === 'string' ? Number(lastEventId.split(':')[1]) : 0;
  for (let offset = from; offset < text.length; offset += size) {
    yield log({ offset, data: text.subarray(offset, Math.min(offset + size, text.length)) });
  }
  yield end;
}

async function follow(answer: Answer, signal = AbortSignal.timeout(10_000)): Promise<BuildEvent[]> {
  await using server = await serve(answer);
  const http = createHttp({ url: server.url, token: 'cof_x' }, () => {});
  const events: BuildEvent[] = [];
  for await (const each of followBuild(http, id, signal)) events.push(each);
  return events;
}

const bytesOf = (events: readonly BuildEvent[]) =>
  Buffer.concat(events.map((each) => (each.type === 'log' ? each.data : Buffer.alloc(0))));
const typesOf = (events: readonly BuildEvent[]) => events.map(({ type }) => type);

const begin = (response: ServerResponse) => response.writeHead(200, { 'content-type': 'text/event-stream' });

describe('following a build', () => {
  test('gives what the service says, in order, to the end', async () => {
    const events = await follow((_request, response) => {
      begin(response).write('retry: 2000\n\n');
      response.write(event('status', { status: 'running', attempt: 1 }));
      response.write(event('step', { workflow: 'w', name: 'test', status: 'running' }));
      response.write(event('gap', { type: 'gap', detail: 'gone from byte 3 on' }));
      response.write(event('later', { of: 'a newer service' }));
      response.end(event('log', { attempt: 1, offset: 0, step: 'test', text: 'hé' }, '1:3') + end);
    });
    expect(events).toMatchObject([
      { type: 'status', status: 'running', attempt: 1 },
      { type: 'step', step: { name: 'test', status: 'running' } },
      { type: 'gap', detail: 'gone from byte 3 on' },
      { type: 'log', attempt: 1, offset: 0, step: 'test', data: Buffer.from('hé') },
      { type: 'end', record: { id, status: 'passed' } },
    ]);
  });

  test.each([1, 7, 1000])(
    'gets every byte once when each connection breaks somewhere, seed %i',
    async (seed) => {
      let random = seed;
      const next = (below: number) => (random = (random * 48271) % 2147483647) % below;
      let served = 0;
      const events = await follow((request, response) => {
        begin(response);
        const all = [...pieces(request, 97)].join('');
        served++;
        // Whole at last; before that cut anywhere, also inside an event.
        if (served > 12) response.end(all);
        else response.write(all.slice(0, next(1500)), () => request.socket.destroy());
      });
      expect(bytesOf(events).equals(text)).toBe(true);
      expect(typesOf(events).filter((type) => type === 'interrupted')).toHaveLength(served - 1);
      expect(events.at(-1)?.type).toBe('end');
    },
  );

  test('drops bytes that come twice', async () => {
    const events = await follow((_request, response) => {
      begin(response).write(log({ offset: 0, data: text.subarray(0, 100) }));
      response.write(log({ offset: 50, data: text.subarray(50, 80) }));
      response.end(log({ offset: 60, data: text.subarray(60) }) + end);
    });
    expect(bytesOf(events).equals(text)).toBe(true);
  });

  test('says that bytes are missing instead of leaving them out', async () => {
    const following = follow((_request, response) => {
      begin(response).write(log({ offset: 0, data: text.subarray(0, 100) }));
      response.end(log({ offset: 101, data: text.subarray(101) }));
    });
    await expect(following).rejects.toThrow(
      new ProtocolError(`the log of ${id} goes on at byte 101, not at 100`),
    );
  });

  test('begins anew with another attempt, and says what was cut', async () => {
    const events = await follow((request, response, count) => {
      begin(response);
      if (count === 0) {
        response.end(log({ offset: 0, data: Buffer.from('first') }));
        return;
      }
      expect(request.headers['last-event-id']).toBe('1:5');
      response.write(log({ attempt: 2, offset: 0, data: Buffer.from('sec') }));
      response.end(log({ attempt: 2, offset: 3, data: Buffer.from('ond') }, { cutBytes: 9 }) + end);
    });
    expect(typesOf(events)).toEqual(['log', 'interrupted', 'log', 'log', 'end']);
    expect(events).toMatchObject([
      { attempt: 1 },
      {},
      { attempt: 2 },
      { attempt: 2, offset: 3, cutBytes: 9 },
      {},
    ]);
  });

  test('is over, without an end, when it is aborted', async () => {
    const abort = new AbortController();
    const events = await follow((_request, response) => {
      begin(response).write(log({ offset: 0, data: Buffer.from('x') }));
      setTimeout(() => abort.abort(), 50);
    }, abort.signal);
    expect(typesOf(events)).toEqual(['log']);
  });

  test('fails when the service refuses it', async () => {
    const following = follow((_request, response) => {
      response
        .writeHead(404, { 'content-type': 'application/problem+json' })
        .end('{"detail":"no such build"}');
    });
    await expect(following).rejects.toThrow(RefusedError);
  });
});
