import { networkInterfaces } from 'node:os';
import { describe, expect, test } from 'vitest';
import { createReach } from '../../../../runtime/crun/network/ranges.ts';
import { privately, publicly } from './zone.ts';

const own = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address));

describe('without exceptions', () => {
  const reach = createReach([]);

  test.each([publicly.ipv4, publicly.ipv6, '1.1.1.1', '2606:4700::1', '223.255.255.255'])(
    '%s is reached',
    (address) => {
      expect(reach(address)).toBe(true);
    },
  );

  test.each([
    ...privately.ipv4,
    ...privately.ipv6,
    ...own,
    '0.0.0.0',
    '127.0.0.53',
    '224.0.0.251',
    '255.255.255.255',
    '::',
    '::1',
    'fe80::1',
    'ff02::fb',
    '::ffff:10.9.9.9',
    '::ffff:203.0.113.10',
    '::10.9.9.9',
  ])('%s is not', (address) => {
    expect(reach(address)).toBe(false);
  });
});

test('exceptions are reached, at their port where they have one', () => {
  const reach = createReach([
    { network: '10.1.2.0/24' },
    { network: '192.168.1.5', port: 443 },
    { network: 'fd00::/64', port: 22 },
  ]);
  expect(reach('10.1.2.255', 9)).toBe(true);
  expect(reach('10.1.3.0', 9)).toBe(false);
  expect([reach('192.168.1.5', 443), reach('192.168.1.5', 80), reach('192.168.1.5')]).toEqual([
    true,
    false,
    true,
  ]);
  expect([reach('fd00::9', 22), reach('fd00::9', 23), reach('fd00:0:0:1::', 22)]).toEqual([
    true,
    false,
    false,
  ]);
});
