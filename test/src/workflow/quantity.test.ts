import { expect, test } from 'vitest';
import { bytesOf, millisecondsOf, writtenDuration, writtenSize } from '../../../src/workflow/quantity.ts';

test.each([
  [4 * 1024 ** 3, '4GiB'],
  [1536 * 1024 ** 2, '1536MiB'],
  [2_000_000_000, '2GB'],
  [1024, '1KiB'],
  [123, '123'],
  [0, '0'],
])('%d bytes are written %s, which reads as the same', (bytes, text) => {
  expect(writtenSize(bytes)).toBe(text);
  expect(bytesOf(text)).toBe(bytes);
});

test.each([
  [3_600_000, '1h'],
  [5_400_000, '1h30m'],
  [90_000, '1m30s'],
  [1000, '1s'],
  [604_800_000, '168h'],
])('%d ms are written %s, which reads as the same', (milliseconds, text) => {
  expect(writtenDuration(milliseconds)).toBe(text);
  expect(millisecondsOf(text)).toBe(milliseconds);
});
