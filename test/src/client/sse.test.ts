import { Readable } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { eventsOf, type ServerSentEvent } from '../../../src/client/sse.ts';

async function parse(...chunks: readonly (string | Uint8Array)[]): Promise<ServerSentEvent[]> {
  const bytes = chunks.map((chunk) => (typeof chunk === 'string' ? Buffer.from(chunk) : chunk));
  const events: ServerSentEvent[] = [];
  for await (const event of eventsOf(Readable.from(bytes))) events.push(event);
  return events;
}

const message = (data: string, lastEventId = '') => ({ type: 'message', data, lastEventId });

describe('events of a text/event-stream', () => {
  test.each<[string, string, ServerSentEvent[]]>([
    ['data alone is a message', 'data: a\n\n', [message('a')]],
    ['lines of data are joined', 'data: a\ndata: b\n\n', [message('a\nb')]],
    ['one blank after the colon is not data', 'data:  a\n\ndata:b\n\n', [message(' a'), message('b')]],
    [
      'a type holds for one event',
      'event: log\ndata: 1\n\ndata: 2\n\n',
      [{ ...message('1'), type: 'log' }, message('2')],
    ],
    ['an id holds until another', 'id: 7\ndata: 1\n\ndata: 2\n\n', [message('1', '7'), message('2', '7')]],
    ['comments and unknown fields are nothing', ': hello\nretry: 3\nx: y\ndata: a\n\n', [message('a')]],
    ['no data, no event', 'event: log\nid: 3\n\ndata: a\n\n', [message('a', '3')]],
    ['a field without a colon is empty', 'data\n\n', [message('')]],
    ['lines may end in CR LF or CR', 'data: a\r\n\r\ndata: b\r\r', [message('a'), message('b')]],
    ['what broke off is dropped', 'data: a\n\ndata: b\n', [message('a')]],
  ])('%s', async (_rule, text, events) => {
    expect(await parse(text)).toEqual(events);
  });

  test('do not depend on how the bytes are cut', async () => {
    const text = Buffer.from(
      'event: log\r\nid: ü1\r\ndata: {"text":"€ 😀"}\r\n\r\n: x\r\n\r\ndata: b\r\n\r\n',
    );
    const whole = await parse(text);
    expect(whole).toHaveLength(2);
    for (let at = 1; at < text.length; at++) {
      expect(await parse(text.subarray(0, at), text.subarray(at))).toEqual(whole);
    }
    expect(await parse(...[...text].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
  });
});
