import { expect, test } from 'vitest';
import { allowList } from '../../../../runtime/crun/network/allow-list.ts';

const list = allowList([
  'example.org',
  '*.Example.com',
  'git.example.org:22',
  '*.example.net:8443',
  'dual.example:443',
  'dual.example:22',
]);

test.each([
  ['example.org', 80, true],
  ['example.org', 443, true],
  ['EXAMPLE.org.', 443, true],
  ['example.org', 22, false],
  ['www.example.org', 443, false],
  ['notexample.org', 443, false],
  ['a.example.com', 443, true],
  ['a.b.example.com', 443, true],
  ['example.com', 443, false],
  ['.example.com', 443, true],
  ['badexample.com', 443, false],
  ['git.example.org', 22, true],
  ['git.example.org', 443, false],
  ['a.example.net', 8443, true],
  ['dual.example', 443, true],
  ['dual.example', 80, false],
  ['', 443, false],
] as const)('%s:%i is on the list: %o', (name, port, expected) => {
  expect(list.has(name, port)).toBe(expected);
});

test('names ports beside the usual ones', () => {
  expect(list.ports).toEqual([22, 8443]);
});

test('a port leads to one host where only that one is listed for it, by its whole name', () => {
  const one = allowList(['git.example.org:22', 'GIT.example.org:22', '*.example.net:8443', 'a.example:443']);
  expect([one.only(22), one.only(8443), one.only(443), one.only(5432)]).toEqual([
    'git.example.org',
    undefined,
    undefined,
    undefined,
  ]);
  expect(list.only(22)).toBeUndefined();
});
