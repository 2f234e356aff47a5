import { Readable } from 'node:stream';
import { parseEventId, serverSentEvent } from '../../../src/api/entry.ts';
import { parseRange } from '../../../src/api/range.ts';
import { eventsOf, type ServerSentEvent } from '../../../src/client/sse.ts';
import { oddities, oneOf, textOf, words } from '../mutate.ts';
import type { Target } from '../target.ts';

const streamPieces = [
  ['data:', 'data: ', 'event: log', 'id: 1:2', 'id:', 'id: \0', 'retry: 1', ': comment', ':', 'data', 'x'],
  ['\n', '\n\n', '\r\n', '\n', 'data: {"a":1}\n\n'],
  oddities,
].flat();

/** What a client makes of a text/event-stream. */
export const eventStreams: Target<{ readonly text: string; readonly cut: number }> = {
  name: 'event-streams',
  promise: 'a stream is the same events however its bytes are cut, and what we write is read as it was',
  rounds: 3000,
  outcomes: ['events', 'nothing'],
  cases: [],
  open: () => ({
    make: (random) => ({ text: textOf(random, streamPieces, 16), cut: random.between(1, 9) }),
    check: async ({ text, cut }) => {
      const whole = await events([Buffer.from(text)]);
      const bytes = Buffer.from(text);
      const pieces = Array.from({ length: Math.ceil(bytes.length / cut) }, (_, i) =>
        bytes.subarray(i * cut, (i + 1) * cut),
      );
      if (JSON.stringify(await events(pieces)) !== JSON.stringify(whole))
        throw new Error(`cut by ${cut} it is another`);
      const own = await events([Buffer.from(serverSentEvent('log', { text }, '1:2'))]);
      const { data = '', lastEventId } = own[0] ?? {};
      const expected = JSON.stringify({ text });
      if (own.length !== 1 || data !== expected || lastEventId !== '1:2')
        throw new Error(`ours came as ${JSON.stringify(own)}`);
      return whole.length > 0 ? 'events' : 'nothing';
    },
  }),
};

async function events(chunks: readonly Buffer[]): Promise<ServerSentEvent[]> {
  return Array.fromAsync(eventsOf(Readable.from(chunks)));
}

const positionPieces = [
  ...words('0 1 9 99 - - - , : + . e3 bytes= \u0661'),
  ' ',
  '\n',
  '9'.repeat(15),
  '9'.repeat(30),
];

/** Range and Last-Event-ID: places in a log, as clients say them. */
export const positions: Target<{ readonly text: string; readonly total: number }> = {
  name: 'positions',
  promise: 'a place is inside of what is there, or is told to be none',
  rounds: 10_000,
  outcomes: ['range', 'all', 'unsatisfiable', 'position'],
  cases: [],
  open: () => ({
    make: (random) => ({
      text: (random.chance(0.7) ? 'bytes=' : '') + textOf(random, positionPieces, 6),
      total: oneOf(random, [0, 1, 10, 2 ** 40]),
    }),
    check: ({ text, total }) => {
      const position = parseEventId(text);
      const numbers = position ? [position.attempt, position.offset] : [];
      if (!numbers.every((each) => Number.isSafeInteger(each) && each >= 0))
        throw new Error('a position is no number');
      const range = parseRange(text, total);
      if (typeof range === 'string') return position ? 'position' : range;
      const inside = range.start >= 0 && range.start <= range.end && range.end < total;
      if (!inside || !Number.isSafeInteger(range.start) || !Number.isSafeInteger(range.end))
        throw new Error(`${range.start} to ${range.end} of ${total}`);
      return 'range';
    },
  }),
};
