import { mkdtempSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openJournal } from '../../../src/up/journal.ts';

let dir: string;
let file: string;
let shown: [text: string, isError: boolean][];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cofferdam-journal-'));
  file = join(dir, 'log', 'cofferdam.log');
  shown = [];
});
afterEach(() => rmSync(dir, { recursive: true }));

const open = () =>
  openJournal(file, (text, isError) => shown.push([stripVTControlCharacters(text), isError]));
const entries = () =>
  readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line): unknown => JSON.parse(line));

const time = Date.UTC(2026, 0, 31, 12, 5, 9);

test.each([
  [
    'an entry of pino keeps what it has',
    JSON.stringify({
      level: 30,
      time,
      pid: 7,
      hostname: 'h',
      name: 'serve',
      url: 'http://x',
      msg: 'listening',
    }),
    { level: 30, time, url: 'http://x', msg: 'listening', process: 'serve' },
    ['12:05:09 serve  listening url=http://x\n', false],
  ],
  [
    'an error is one also for people',
    JSON.stringify({ level: 50, time, err: { message: 'no' }, msg: 'broken' }),
    { level: 50, err: { message: 'no' }, process: 'serve' },
    ['12:05:09 serve  broken err={"message":"no"}\n', true],
  ],
  [
    'names of strangers make no lines and steer no terminal',
    JSON.stringify({ level: 40, time, build: 'a\nb\u001b[2J', msg: 'x\ry' }),
    { level: 40, build: 'a\nb\u001b[2J' },
    ['12:05:09 serve  x y build=a b [2J\n', false],
  ],
])('%s', (_what, line, kept, text) => {
  open().line('serve', line);
  expect(entries()).toMatchObject([kept]);
  expect(shown).toEqual([text]);
});

test.each(['Error: out of memory', '17', 'null', '"text"', '{"level":30}'])(
  '%s is an error as it stands',
  (line) => {
    open().line('worker', line);
    expect(entries()).toMatchObject([{ level: 50, process: 'worker', msg: line }]);
    expect(shown[0]?.[1]).toBe(true);
  },
);

test('one that is long makes room for another', () => {
  open().info('first');
  truncateSync(file, 64 * 1024 ** 2 + 1);
  const journal = open();
  journal.info('second');
  journal.info('third');
  expect(entries()).toMatchObject([{ msg: 'second', process: 'up' }, { msg: 'third' }]);
  expect(statSync(`${file}.1`).size).toBeGreaterThan(64 * 1024 ** 2);
});

test('one that cannot be written to says so once, and goes on', () => {
  const journal = open();
  rmSync(join(dir, 'log'), { recursive: true });
  journal.info('a');
  journal.info('b');
  expect(shown.filter(([text]) => text.includes(`cannot write to ${file}: ENOENT`))).toHaveLength(1);
  expect(shown).toHaveLength(3);
});
