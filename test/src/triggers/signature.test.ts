import { createHmac } from 'node:crypto';
import { expect, test } from 'vitest';
import { digestIn, isOneOf, isSigned } from '../../../src/triggers/signature.ts';

const hmac = (key: string) => createHmac('sha256', key).update('ab').digest();

test.each<[string, string[], boolean]>([
  ['one', ['one'], true],
  ['two', ['one', 'two'], true],
  ['one', ['one', 'two'], true],
  ['three', ['one', 'two'], false],
  ['one', [], false],
  // What a secret that is missing looks like proves nothing.
  ['', [''], false],
])('what %j signed is genuine to %j: %s', (key, secrets, expected) => {
  expect(isSigned(hmac(key), ['a', Buffer.from('b')], secrets)).toBe(expected);
});

test('an empty text is no secret', () => {
  expect(isOneOf('', [''])).toBe(false);
});

test.each<[string | undefined, boolean]>([
  [`sha256=${'0aF'.repeat(21)}0`, true],
  [`sha256=${'0'.repeat(63)}`, false],
  [`sha256=${'0'.repeat(65)}`, false],
  [`sha1=${'0'.repeat(64)}`, false],
  ['0'.repeat(64), false],
  [`sha256=${'g'.repeat(64)}`, false],
  [undefined, false],
])('%s holds a digest: %s', (header, expected) => {
  expect(digestIn(header, 'sha256=') !== undefined).toBe(expected);
});
