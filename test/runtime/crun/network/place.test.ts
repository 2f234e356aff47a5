import { describe, expect, test } from 'vitest';
import { freePool, gatewayOf } from '../../../../runtime/crun/network/place.ts';

/** As /proc/net/route has it. */
function table(...routes: readonly string[]): string {
  const hex = (value: number) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return bytes.toString('hex').toUpperCase();
  };
  const network = (address: string) => Buffer.from(address.split('.').map(Number)).readUInt32BE();
  const lines = routes.map((route) => {
    const [link, address = '', bits] = route.split(/[ /]/);
    return [
      link,
      hex(network(address)),
      '00000000',
      '0001',
      '0',
      '0',
      '0',
      hex(2 ** 32 - 2 ** (32 - Number(bits))),
      '0',
      '0',
      '0',
    ].join('\t');
  });
  return [
    'Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT',
    ...lines,
    '',
  ].join('\n');
}

describe('the addresses of builds', () => {
  test.each([
    ['of a machine with a default route alone', ['eth0 0.0.0.0/0'], '10.213.0.0'],
    ['of a machine without routes', [], '10.213.0.0'],
    ['beside a network elsewhere in the block', ['eth0 10.0.0.0/16', 'eth0 10.213.64.0/18'], '10.213.0.0'],
    ['where a part is taken', ['eth0 10.213.63.128/25'], '172.29.0.0'],
    ['where all of it is', ['tun0 10.0.0.0/8'], '172.29.0.0'],
    ['where one address is', ['tun0 10.213.1.2/32'], '172.29.0.0'],
    ['where more is', ['tun0 10.0.0.0/8', 'docker0 172.16.0.0/12'], '192.168.192.0'],
    ['where other builds are', ['cfde0 10.213.0.0/31', 'cfda7 10.213.32.14/31'], '10.213.0.0'],
  ] as const)('%s', (_, routes, pool) => {
    expect(freePool(table(...routes))).toBe(pool);
  });

  test('are none where all private networks are taken', () => {
    const all = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15', '100.64.0.0/10'];
    expect(freePool(table(...all.map((network) => `tun0 ${network}`)))).toBeUndefined();
  });

  test('are two for each link', () => {
    const place = { link: 'cfda', ipv4: '10.213.32.0', ipv6: undefined };
    expect([0, 1, 128, 4095].map((number) => gatewayOf(place, number))).toEqual([
      '10.213.32.0',
      '10.213.32.2',
      '10.213.33.0',
      '10.213.63.254',
    ]);
  });
});
