import { expect, test } from 'vitest';
import { atLeast } from '../../../runtime/host/version.ts';

test.each([
  ['1.8', '1.8', true],
  ['1.8.1', '1.8', true],
  ['1.28', '1.8', true],
  ['1.8', '1.28', false],
  ['1.8', '1.8.1', false],
  ['0.17', '1.8', false],
  ['2', '1.8', true],
  ['6.18.44-cloud', '6.5', true],
  ['6.1.0-32-amd64', '6.5', false],
  ['1.14.3-dirty', '1.14.3', true],
  ['unknown', '1.8', false],
])('%s is at least %s: %s', (version, wanted, expected) => {
  expect(atLeast(version, wanted)).toBe(expected);
});
