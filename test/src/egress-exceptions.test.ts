import { expect, test } from 'vitest';
import { parseEgressExceptions } from '../../src/egress-exceptions.ts';

test.each([
  ['10.1.2.3', [{ network: '10.1.2.3' }]],
  ['10.1.2.0/24', [{ network: '10.1.2.0/24' }]],
  ['10.1.2.0/24:443', [{ network: '10.1.2.0/24', port: 443 }]],
  ['fd00::1', [{ network: 'fd00::1' }]],
  ['fd00::/64', [{ network: 'fd00::/64' }]],
  ['[fd00::1]:443', [{ network: 'fd00::1', port: 443 }]],
  ['[fd00::/64]:22', [{ network: 'fd00::/64', port: 22 }]],
  ['10.0.0.1:80, [::1]', [{ network: '10.0.0.1', port: 80 }, { network: '::1' }]],
])('%s', (text, exceptions) => {
  expect(parseEgressExceptions(text)).toEqual(exceptions);
});

test.each([
  'example.org',
  '10.1.2',
  '10.1.2.0/33',
  '10.1.2.0/24/8',
  '10.1.2.3:0',
  '10.1.2.3:65536',
  '10.1.2.3:http',
  'fd00::/129',
  '[fd00::1',
  '[10.1.2.3',
  ',',
  '10.1.2.3,',
  '10.1.2.3 10.1.2.4',
  '10.0.0.1"; flush ruleset',
])('%s is refused', (text) => {
  expect(parseEgressExceptions(text)).toBeUndefined();
});
