import { expect, test } from 'vitest';
import { suggest } from '../../../src/workflow/suggest.ts';

const keys = ['name', 'image', 'commands', 'environment', 'when', 'cpus'];

test.each([
  ['comands', 'commands'],
  ['command', 'commands'],
  ['Commands', 'commands'],
  ['comamnds', 'commands'],
  ['enviroment', 'environment'],
  ['environments', 'environment'],
  ['imgae', 'image'],
  ['env', 'environment'],
  ['cpu', 'cpus'],
  ['jobs', undefined],
  ['foo', undefined],
  ['', undefined],
  ['constructor', undefined],
  ['x'.repeat(100_000), undefined],
])('%s was meant to be %s', (word, meant) => {
  expect(suggest(word, keys)).toBe(meant);
});
