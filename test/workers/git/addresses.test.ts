import type * as Os from 'node:os';
import { describe, expect, test, vi } from 'vitest';
import { isAllowed, resolveHost } from '../../../workers/git/addresses.ts';
import { RemoteError } from '../../../workers/git/remote-error.ts';

// Machines of tests have private addresses only.
vi.mock('node:os', async (original) => ({
  ...(await original<typeof Os>()),
  networkInterfaces: () => ({ eth0: [{ address: '9.9.9.7' }] }),
}));

describe('addresses that no build may make a worker talk to, unless the repository is on an internal host', () => {
  test.each([
    ['loopback', ['127.0.0.1', '127.255.255.254', '::1']],
    ['unspecified, which Linux takes for loopback', ['0.0.0.0', '0.1.2.3', '::']],
    ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12:3456::1']],
    ['of a carrier', ['100.64.0.1', '100.127.255.255']],
    [
      'for documentation and measurements',
      ['192.0.2.1', '198.18.0.1', '203.0.113.7', '2001:db8::1', '3fff::1'],
    ],
    ['multicast and broadcast', ['224.0.0.1', '255.255.255.255', 'ff02::1']],
    [
      'IPv4 in IPv6',
      ['::ffff:127.0.0.1', '::ffff:a00:1', '::127.0.0.1', '64:ff9b::10.0.0.1', '64:ff9b:1::7f00:1'],
    ],
    ['6to4 and Teredo', ['2002:7f00:1::', '2002:a00:1::1', '2001::1']],
    ['not given out', ['4000::1', '1::1', '5f00::1']],
  ])('%s', (_kind, addresses) => {
    for (const address of addresses) {
      expect(isAllowed(address, 'public'), address).toBe(false);
      expect(isAllowed(address, 'internal'), address).toBe(true);
    }
  });
});

const credentialServices =
  '169.254.169.254 169.254.170.2 fe80::a9fe:a9fe fd00:ec2::254 fd20:ce::254 100.100.100.200 168.63.129.16 ' +
  '::ffff:169.254.169.254 64:ff9b::169.254.169.254 2002:a9fe:a9fe:: ::169.254.169.254';

test.each(credentialServices.split(' '))('%s gives out credentials and is never talked to', (address) => {
  expect(isAllowed(address, 'public')).toBe(false);
  expect(isAllowed(address, 'internal')).toBe(false);
});

test.each([
  '1.1.1.1',
  '140.82.121.4',
  '100.63.255.255',
  '172.32.0.1',
  '2606:50c0:8000::154',
  '64:ff9b::140.82.121.4',
])('%s is public', (address) => expect(isAllowed(address, 'public')).toBe(true));

test('the public address of the worker itself is not for builds', () => {
  expect(isAllowed('9.9.9.7', 'public')).toBe(false);
  expect(isAllowed('::ffff:9.9.9.7', 'public')).toBe(false);
  expect(isAllowed('9.9.9.8', 'public')).toBe(true);
});

describe('a host', () => {
  const answers =
    (...addresses: string[]) =>
    () =>
      Promise.resolve(addresses);

  test('has its addresses in the order of the resolver', async () => {
    expect(await resolveHost('x.example', 'public', answers('1.1.1.1', '2606:50c0::1'))).toEqual([
      '1.1.1.1',
      '2606:50c0::1',
    ]);
    expect(await resolveHost('[2606:50c0::1]', 'public', answers())).toEqual(['2606:50c0::1']);
  });

  test.each([
    ['127.0.0.1', []],
    ['[::ffff:7f00:1]', []],
    ['localhost', ['127.0.0.1']],
    ['rebound.example', ['1.1.1.1', '10.0.0.1']],
    ['metadata.example', ['169.254.169.254']],
  ])('%s that is at %j is refused', async (host, addresses) => {
    const refused = resolveHost(host, 'public', answers(...addresses));
    await expect(refused).rejects.toThrow(RemoteError);
    await expect(refused).rejects.toMatchObject({ kind: 'refused', message: expect.stringContaining(host) });
  });

  test('without an answer, or with an empty one, may be there later', async () => {
    const broken = () => Promise.reject(new Error('getaddrinfo EAI_AGAIN x.example'));
    await expect(resolveHost('x.example', 'public', broken)).rejects.toMatchObject({ kind: 'unreachable' });
    await expect(resolveHost('x.example', 'public', answers())).rejects.toMatchObject({
      kind: 'unreachable',
    });
  });

  test('is looked up for real when nobody says otherwise', async () => {
    expect(await resolveHost('localhost', 'internal')).toContain('127.0.0.1');
  });
});
