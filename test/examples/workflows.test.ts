import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { cofferdam, examples } from './example.ts';

const names = readdirSync(examples).filter((name) => existsSync(join(examples, name, '.cofferdam.yaml')));

test.each(names)('the workflow of %s is right', async (name) => {
  const directory = join(examples, name);
  expect(await cofferdam('lint', directory)).toBe(`${directory}/.cofferdam.yaml: ok\n`);
});
