import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cofferdam, copyExample, scratch } from './example.ts';

/** Makes three images of its own: two minutes. Only with COFFERDAM_TEST_SLOW=1. */
const slow = process.env['COFFERDAM_TEST_SLOW'] === '1';
const timeout = 600_000;

test.runIf(slow)('a test suite passes against real PostgreSQL and Redis servers', { timeout }, async () => {
  await using directory = await scratch();
  await using out = await scratch();
  const example = await copyExample('services', directory.path);

  const log = await cofferdam('run', '--artifacts', out.path, example);

  expect(log).toMatch(/^service:db \| .*database system is ready to accept connections$/m);
  expect(log).toMatch(/^service:cache \| .*Ready to accept connections$/m);
  expect(log.match(/^integration \| (?:not )?ok .*/gm)).toHaveLength(9);
  expect(log).toMatch(/^report \| {2}apple \| +0$/m);
  const results = await readFile(join(out.path, 'integration.tap'), 'utf8');
  expect(results).toMatch(/^ok 9 - and each that got one has an order\n1\.\.9\n$/m);
  expect(results).not.toContain('not ok');
});
