import { describe, expect, test } from 'vitest';
import { createEvents } from '../../../src/cli/events.ts';
import { labelOf } from '../../../src/logs/label.ts';
import { randomFrom } from '../../random.ts';
import { recorder, recordOf } from './recorder.ts';

interface LogEvent {
  readonly type: string;
  readonly workflow?: string;
  readonly step?: string;
  readonly data?: string;
  readonly base64?: string;
}

function parsed(text: string): LogEvent[] {
  expect(text.endsWith('\n')).toBe(true);
  return text
    .slice(0, -1)
    .split('\n')
    .map((line): LogEvent => JSON.parse(line));
}

/** What chunks of one step become. */
async function logOf(chunks: readonly (string | Buffer)[]): Promise<LogEvent[]> {
  const output = recorder();
  const events = createEvents(output);
  for (const chunk of chunks) await events.chunk(a, Buffer.from(chunk));
  await events.step({ name: 'a', status: 'passed' }, 'w');
  return parsed(output.stdout().toString()).filter(({ type }) => type === 'log');
}

const bytesOf = (events: readonly LogEvent[]) =>
  Buffer.concat(
    events.map(({ data, base64 }) =>
      data === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(data),
    ),
  );

const a = labelOf({ workflow: 'w', step: 'a' });
const text = (data: string): LogEvent => ({ type: 'log', workflow: 'w', step: 'a', data });
const binary = (...bytes: number[]): LogEvent => ({
  type: 'log',
  workflow: 'w',
  step: 'a',
  base64: Buffer.from(bytes).toString('base64'),
});
const euro = [0xe2, 0x82, 0xac] as const;

describe('log data', () => {
  test.each<readonly [string, readonly (string | Buffer)[], readonly LogEvent[]]>([
    ['text', ['one\n', 'two'], [text('one\n'), text('two')]],
    ['what JSON escapes', ['"\\\u0000\u2028\u001b'], [text('"\\\u0000\u2028\u001b')]],
    ['a byte order mark', ['\ufeffx'], [text('\ufeffx')]],
    [
      'a character over two chunks',
      [Buffer.from([0x61, euro[0]]), Buffer.from([euro[1], euro[2], 0x62])],
      [text('a'), text('€b')],
    ],
    ['a character byte by byte', euro.map((byte) => Buffer.from([byte])), [text('€')]],
    [
      'a character of four bytes over two chunks',
      [Buffer.from([0xf0, 0x9f, 0x9a]), Buffer.from([0x80])],
      [text('\u{1f680}')],
    ],
    ['bytes that are no text', [Buffer.from([0x61, 0xff, 0x62])], [binary(0x61, 0xff, 0x62)]],
    ['a character that never ends', [Buffer.from([0x61, euro[0]])], [text('a'), binary(euro[0])]],
    ['half a surrogate pair, as in CESU-8', [Buffer.from([0xed, 0xa0, 0x80])], [binary(0xed, 0xa0, 0x80)]],
    ['nothing', [''], []],
  ])('%s', async (_, chunks, expected) => expect(await logOf(chunks)).toEqual(expected));

  test('is byte for byte what the build wrote, and text wherever all of it is text (500 random logs)', async () => {
    for (let seed = 1; seed <= 500; seed++) {
      const random = randomFrom(seed);
      const letters = ['a', 'é', '€', '\u{1f680}', '\n', '"'];
      const isText = seed % 2 === 0;
      const all = Buffer.concat(
        Array.from({ length: random(40) }, () =>
          isText || random(4) > 0 ? Buffer.from(letters[random(6)] ?? '') : Buffer.from([random(256)]),
        ),
      );
      const chunks: Buffer[] = [];
      for (let at = 0; at < all.length; ) {
        const length = 1 + random(5);
        chunks.push(all.subarray(at, at + length));
        at += length;
      }
      const events = await logOf(chunks);
      expect(bytesOf(events).equals(all), `seed ${seed}`).toBe(true);
      if (isText) expect(events.filter(({ base64 }) => base64 !== undefined)).toEqual([]);
    }
  });
});

test('steps keep their own halves of characters', async () => {
  const output = recorder();
  const events = createEvents(output);
  await events.chunk('a', Buffer.from([euro[0]]));
  await events.chunk('b', Buffer.from('b'));
  await events.chunk('a', Buffer.from([euro[1], euro[2]]));
  expect(parsed(output.stdout().toString())).toEqual([
    { type: 'log', step: 'b', data: 'b' },
    { type: 'log', step: 'a', data: '€' },
  ]);
});

test('a cut parts the halves of a character', async () => {
  const output = recorder();
  const events = createEvents(output);
  await events.chunk(a, Buffer.from([euro[0]]));
  await events.cutEnds(7);
  await events.chunk(a, Buffer.from([0x80, 0x61]));
  expect(parsed(output.stdout().toString())).toEqual([
    binary(euro[0]),
    { type: 'log-cut', bytes: 7 },
    binary(0x80, 0x61),
  ]);
});

test('events are lines of JSON on stdout, the record last; progress is on stderr', async () => {
  const output = recorder();
  const events = createEvents(output);
  const record = recordOf();
  const artifact = { path: 'a\nb', size: 1, sha256: 'f' };
  events.progress('making an image');
  await events.step({ name: 'a', status: 'running' }, 'w');
  events.warning('w');
  await events.chunk(a, Buffer.from([euro[0]]));
  events.artifact(artifact);
  await events.end(record);
  expect(parsed(output.stdout().toString())).toEqual([
    { type: 'step', workflow: 'w', name: 'a', status: 'running' },
    { type: 'warning', message: 'w' },
    { type: 'artifact', ...artifact },
    binary(euro[0]),
    { type: 'end', record },
  ]);
  expect(output.stderr()).toBe('making an image\n');
});
