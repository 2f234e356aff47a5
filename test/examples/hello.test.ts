import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { cofferdam, examples, scratch } from './example.ts';

const directory = join(examples, 'hello');
/** The first run on a machine makes the image. */
const timeout = 300_000;

test('hello is compiled and tested, hands over a program that runs, and stays as it was', {
  timeout,
}, async () => {
  await using out = await scratch();
  const before = await readdir(directory);

  const log = await cofferdam('run', '--artifacts', out.path, directory);

  expect(log).toMatch(/^cc .*hello\.c/m);
  expect(log.match(/^ok: .*/gm)).toEqual(['ok: ./hello', 'ok: ./hello Ada', 'ok: ./hello Ada Grace']);
  expect((await readdir(out.path)).sort()).toEqual(['hello', 'hello.txt']);
  expect(await readFile(join(out.path, 'hello.txt'), 'utf8')).toBe('Hello, world!\n');
  const { stdout } = await run({ file: join(out.path, 'hello'), args: ['from', 'the sandbox'] });
  expect(stdout.toString()).toBe('Hello, from!\nHello, the sandbox!\n');
  expect((await readdir(directory)).sort()).toEqual(before.sort());
});
