import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { cofferdam, copyExample, scratch } from './example.ts';

/** Fetches source packages and makes an image of its own: minutes. Only with COFFERDAM_TEST_SLOW=1. */
const slow = process.env['COFFERDAM_TEST_SLOW'] === '1';
const timeout = 600_000;

test.runIf(slow)('a Debian source package that apt fetched becomes a .deb', { timeout }, async () => {
  await using directory = await scratch();
  await using out = await scratch();
  const example = await copyExample('debian-package', directory.path);
  await run({ file: join(example, 'fetch.sh'), args: [] });

  const log = await cofferdam('run', '--artifacts', out.path, example);

  expect(log).toMatch(/^Setting up hello .*\n[^]*^Hello, world!$/m);
  const names = (await readdir(out.path)).map((name) => name.replace(/_.*\./, '.'));
  expect(names.sort()).toEqual(['hello-dbgsym.deb', 'hello.buildinfo', 'hello.changes', 'hello.deb']);
});
