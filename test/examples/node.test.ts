import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { run } from '../../runtime/command.ts';
import { cofferdam, copyExample, scratch } from './example.ts';

/** Fetches 136 packages and makes an image of its own: a minute or more. Only with COFFERDAM_TEST_SLOW=1. */
const slow = process.env['COFFERDAM_TEST_SLOW'] === '1';
const timeout = 600_000;

test.runIf(slow)('the test suite of a package that npm fetched passes', { timeout }, async () => {
  await using directory = await scratch();
  await using out = await scratch();
  const example = await copyExample('node', directory.path);
  await run({ file: join(example, 'vendor.sh'), args: [] });

  const log = await cofferdam('run', '--artifacts', out.path, example);

  expect(log).toContain('\n# tests 797\n# pass  797\n');
  expect(await readFile(join(out.path, 'qs.tap'), 'utf8')).toMatch(/^TAP version 13\n[^]*\n# ok\n/);
});
