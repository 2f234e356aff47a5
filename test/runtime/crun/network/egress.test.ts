import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Network } from '../../../../runtime/sandbox.ts';
import { expectSameCensus, census } from '../../../census.ts';
import type { Probe } from './client/client.ts';
import { inside, machineAddresses, makeWorld, namespace, type World } from './world.ts';
import { privately, publicly } from './zone.ts';

const egress: Network = { kind: 'egress' };
const tcp = (host: string, port = 80): Probe => ({ kind: 'tcp', host, port });
const udp = (host: string, port = 7): Probe => ({ kind: 'udp', host, port });

/** A build that listens. */
const server = [
  './node',
  '-e',
  "require('net').createServer((socket) => socket.end()).listen(80, '::')",
] as const;
const client = join(import.meta.dirname, 'client/client.ts');

let world: World;
beforeAll(async () => {
  world = await makeWorld();
});
afterAll(() => world[Symbol.asyncDispose]());

const probe = async (probes: readonly Probe[], network = egress) =>
  (await world.probe(network, probes)).results;

/** Packets that were refused, by why. */
async function refused(counter: string): Promise<number> {
  const text = await world.onMachine('nft', 'list', 'counter', 'inet', 'cofferdam', counter);
  return Number(/packets (\d+)/.exec(text)?.[1]);
}

describe('a build with egress', () => {
  test('reaches the internet, by IPv4 and IPv6, TCP and UDP', async () => {
    expect(
      await probe([tcp(publicly.ipv4), tcp(publicly.ipv6), udp(publicly.ipv4), udp(publicly.ipv6)]),
    ).toEqual(['connected', 'connected', 'ping', 'ping']);
  });

  test('speaks as the machine', async () => {
    const http: Probe = { kind: 'http', host: publicly.ipv4, port: 80, name: 'public.example' };
    expect(await probe([http])).toEqual([
      `200 public.example at ${publicly.ipv4} for ${machineAddresses.ipv4[0]}`,
    ]);
  });

  test.each(['ipv4', 'ipv6'] as const)(
    'reaches no private address (%s), and is told so at once',
    async (family) => {
      // They are there: the machine itself reaches them.
      const probes = privately[family].map((host) => tcp(host));
      const fromMachine = await world.onMachine(process.execPath, client, JSON.stringify(probes));
      expect(JSON.parse(fromMachine)).toEqual(probes.map(() => 'connected'));

      const before = await refused('to_private');
      expect(await probe(probes)).toEqual(probes.map(() => 'ECONNREFUSED'));
      expect(await refused('to_private')).toBeGreaterThanOrEqual(before + probes.length);
    },
  );

  test('reaches no private address by UDP, nor by an IPv4 address written as an IPv6 one', async () => {
    const [datagram = '', mapped] = await probe([udp('10.9.9.9'), tcp('::ffff:10.9.9.9')]);
    expect(['EHOSTUNREACH', 'ECONNREFUSED', 'silence']).toContain(datagram);
    expect(mapped).toBe('ECONNREFUSED');
  });

  test('reaches no address of the machine, whichever interface has it', async () => {
    const { output } = await world.build(egress, 'cat', '/etc/resolv.conf');
    const gateway = output.split(/\s/)[1] ?? '';
    const addresses = [...machineAddresses.ipv4, ...machineAddresses.ipv6, gateway];
    const before = await refused('to_host');
    const results = await probe(addresses.map((host) => tcp(host, 6379)));
    expect(results).toEqual(addresses.map(() => 'ECONNREFUSED'));
    expect(await refused('to_host')).toBeGreaterThanOrEqual(before + addresses.length - 1);
  });

  test('has a loopback of its own', async () => {
    expect(await probe([tcp('127.0.0.1', 6379), tcp('::1', 6379)])).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
  });

  test('reaches no other build', async () => {
    await world.beside(egress, server, async (addresses) => {
      expect(addresses).toHaveLength(2);
      const before = await refused('to_build');
      expect(await probe(addresses.map((host) => tcp(host)))).toEqual(['ECONNREFUSED', 'ECONNREFUSED']);
      expect(await refused('to_build')).toBeGreaterThanOrEqual(before + 2);
    });
  });

  test('cannot speak with an address that it does not have', async () => {
    expect(await probe([{ kind: 'tcp', host: publicly.ipv4, port: 80, from: '10.213.0.77' }])).toEqual([
      'EADDRNOTAVAIL',
    ]);
  });

  test('would get nowhere in the name of another, even if it could try', async () => {
    // As a build's link, but with a superuser at its end.
    const forger = await namespace();
    const onForger = inside(forger.pid);
    await world.onMachine(
      'sh',
      '-euc',
      `ip link add cfde-test type veth peer name eth0 netns ${forger.pid}
      ip address add 10.66.0.0/31 dev cfde-test
      ip link set cfde-test up`,
    );
    await onForger(
      'sh',
      '-euc',
      `ip address add 10.66.0.1/31 dev eth0
      ip address add 10.66.0.3/32 dev eth0
      ip link set eth0 up
      ip route add default via 10.66.0.0`,
    );
    const from = async (address: string) => {
      const probes = [{ ...tcp(publicly.ipv4), from: address }];
      return JSON.parse(await onForger(process.execPath, client, JSON.stringify(probes)));
    };
    const before = await refused('spoofed');
    expect(await from('10.66.0.1')).toEqual(['connected']);
    expect(await from('10.66.0.3')).toEqual(['silence']);
    expect(await refused('spoofed')).toBeGreaterThan(before);
    const gone = once(forger.child, 'close');
    forger.child.kill('SIGKILL');
    await gone;
  });

  test('is reached by nobody outside', async () => {
    await world.inInternet('ip', 'route', 'add', '10.213.0.0/18', 'via', machineAddresses.ipv4[0]);
    await world.inInternet(
      'ip',
      '-6',
      'route',
      'add',
      'fd63:6f66:6665::/64',
      'via',
      machineAddresses.ipv6[0],
    );
    await world.beside(egress, server, async (addresses) => {
      const before = await refused('from_outside');
      const probes = addresses.map((host) => tcp(host));
      const results = await world.inInternet(process.execPath, client, JSON.stringify(probes));
      expect(JSON.parse(results)).toEqual(['silence', 'silence']);
      expect(await refused('from_outside')).toBeGreaterThanOrEqual(before + 2);
    });
  });

  test('gets so many names and connections at a time, and no more', async () => {
    const flood = (target: string, count: number) => `
      const [, name = ''] = require('fs').readFileSync('/etc/resolv.conf', 'utf8').split(/\\s/);
      const socket = require('dgram').createSocket('udp4').on('error', () => {});
      let sent = 0;
      const some = () => {
        for (let i = 0; i < 100; i++, sent++) socket.send('x', ${target});
        if (sent < ${count}) setImmediate(some);
        else setTimeout(() => socket.close(), 100);
      };
      some();`;
    for (const [script, count] of [
      [flood('53, name', 5000), 1000],
      [flood(`1 + sent, '${publicly.ipv4}'`, 10_000), 1000],
    ] as const) {
      const before = await refused('too_many');
      expect((await world.build(egress, './node', '-e', script)).output).toBe('');
      expect(await refused('too_many')).toBeGreaterThan(before + count);
    }
  });

  test('leaves no interface', async () => {
    const links = () => world.onMachine('ip', '-o', 'link');
    await probe([tcp(publicly.ipv4)]);
    await expect.poll(links).not.toContain('cfd');
  });
});

describe('names', () => {
  test('are those that the name servers of the machine know', async () => {
    const names = ['public.example', 'six.example', 'no.example'];
    const [both, six, none] = await probe(names.map((host) => ({ kind: 'name', host })));
    expect(both?.split(',').toSorted()).toEqual([publicly.ipv6, publicly.ipv4].toSorted());
    expect([six, none]).toEqual([publicly.ipv6, 'ENOTFOUND']);
  });

  test('with more addresses than fit into a datagram are asked over TCP', async () => {
    const [many = ''] = await probe([{ kind: 'name', host: 'many.example' }]);
    expect(many.split(',')).toHaveLength(60);
  });

  test.each([
    ['inside.example', '10.9.9.9'],
    ['metadata.example', '169.254.169.254'],
    ['mixed.example', '192.168.77.7'],
  ])('that lead to private addresses are refused, and the log says so (%s)', async (host, address) => {
    const { results, notices } = await world.probe(egress, [
      { kind: 'name', host },
      { kind: 'name', host },
    ]);
    expect(results.join()).not.toContain(address);
    expect(notices).toEqual([`network: denied ${host} (it is at ${address}, which builds do not reach)`]);
  });

  test('are not to be had without a network', async () => {
    const { results } = await world.probe({ kind: 'none' }, [
      { kind: 'name', host: 'public.example' },
      tcp(publicly.ipv4),
      tcp(publicly.ipv6),
    ]);
    expect(results[0]).toMatch(/EAI_AGAIN|ENOTFOUND/);
    expect(results.slice(1)).toEqual(['ENETUNREACH', 'ENETUNREACH']);
  });
});

test('a worker that is killed leaves nothing of the network', async () => {
  const before = census(world.dataDir);
  const sleeping = world.build(egress, 'sleep', '1000');
  await expect.poll(() => world.onMachine('ip', '-o', 'link')).toContain('cfde');
  await world.killWorker();
  await expect.poll(() => world.onMachine('ip', '-o', 'link')).not.toContain('cfd');
  await expectSameCensus(world.dataDir, before);
  void sleeping;
});
