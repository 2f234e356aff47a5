import { expect, test } from 'vitest';
import { duration, size } from '../../../src/cli/format.ts';

test.each([
  [0, '0 ms'],
  [0.04, '0 ms'],
  [2.84, '2.8 ms'],
  [9.94, '9.9 ms'],
  [9.95, '10 ms'],
  [999.4, '999 ms'],
  [999.5, '1.0 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min 00 s'],
  [60_000, '1 min 00 s'],
  [245_499, '4 min 05 s'],
  [3_600_000, '60 min 00 s'],
])('%d ms is shown as %s', (ms, text) => expect(duration(ms)).toBe(text));

test.each([
  [0, '0 B'],
  [1023, '1023 B'],
  [1024, '1.0 KiB'],
  [4608, '4.5 KiB'],
  [1024 ** 2 - 1, '1.0 MiB'],
  [67.84 * 1024 ** 2, '67.8 MiB'],
  [1024 ** 3, '1.0 GiB'],
  [5000 * 1024 ** 4, '5000.0 TiB'],
])('%d bytes are shown as %s', (bytes, text) => expect(size(bytes)).toBe(text));
