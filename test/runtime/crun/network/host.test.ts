import { describe, expect, test } from 'vitest';
import type { Network } from '../../../../runtime/sandbox.ts';
import type { Probe } from './client/client.ts';
import { machineAddresses, makeWorld, type WorldOptions } from './world.ts';
import { publicly } from './zone.ts';

const egress: Network = { kind: 'egress' };
const tcp = (host: string, port = 80): Probe => ({ kind: 'tcp', host, port });

describe('a machine that forwards nothing', () => {
  const forwardsNothing: WorldOptions = {
    sysctls: { 'net/ipv4/ip_forward': '0', 'net/ipv6/conf/all/forwarding': '0' },
  };

  test('forwards for builds alone', async () => {
    await using world = await makeWorld(forwardsNothing);
    // Somebody on its other side, who has the machine as router.
    await world.onMachine('ip', 'route', 'add', '10.88.0.0/16', 'dev', 'lan');
    expect((await world.probe(egress, [tcp(publicly.ipv4)])).results).toEqual(['connected']);
    const forwarding = await world.onMachine(
      'sh',
      '-c',
      'cd /proc/sys/net/ipv4/; cat ip_forward conf/wan/forwarding',
    );
    expect(forwarding).toBe('0\n2\n');

    await world.inInternet('ip', 'route', 'add', '10.88.0.0/16', 'via', machineAddresses.ipv4[0]);
    await world.inInternet(
      'sh',
      '-c',
      'echo x >/dev/udp/10.88.1.1/9 || bash -c "echo x >/dev/udp/10.88.1.1/9"',
    );
    expect(await world.onMachine('nft', 'list', 'counter', 'inet', 'cofferdam', 'guarded')).toMatch(
      /packets [1-9]/,
    );
  });

  test('gives builds no IPv6, and changes nothing of its own', async () => {
    await using world = await makeWorld(forwardsNothing);
    expect((await world.probe(egress, [tcp(publicly.ipv6)])).results).toEqual(['ENETUNREACH']);
    expect(await world.onMachine('cat', '/proc/sys/net/ipv6/conf/all/forwarding')).toBe('0\n');
  });
});

test('a firewall that was taken away is there again for the next build', async () => {
  await using world = await makeWorld();
  const blocked = async () => (await world.probe(egress, [tcp('10.9.9.9')])).results;
  expect(await blocked()).toEqual(['ECONNREFUSED']);
  await world.onMachine('nft', 'flush', 'ruleset');
  // For a second, what was found counts; then it is looked for again.
  await expect.poll(blocked, { timeout: 10_000 }).toEqual(['ECONNREFUSED']);
});

test('a firewall that was taken away comes back while a build runs', async () => {
  await using world = await makeWorld();
  await world.beside(egress, ['sleep', '1000'], async () => {
    await world.onMachine('nft', 'flush', 'ruleset');
    const tables = () => world.onMachine('nft', 'list', 'tables');
    await expect.poll(tables, { timeout: 15_000 }).toContain('table inet cofferdam');
  });
});

test('workers that begin at the same time share the firewall', async () => {
  await using world = await makeWorld();
  const results = await Promise.all(
    Array.from({ length: 8 }, () => world.probe(egress, [tcp(publicly.ipv4)])),
  );
  expect(results.flatMap((each) => each.results)).toEqual(results.map(() => 'connected'));
});

test('what an administrator excepts is reached, at its port', async () => {
  const exceptions = [
    { network: '10.9.0.0/16', port: 22 },
    { network: '10.9.9.0/24', port: 80 },
    { network: '10.9.9.9', port: 80 },
    { network: '172.16.5.1/16', port: 443 },
    { network: '172.16.5.5' },
    { network: 'fc00::/64', port: 443 },
    { network: machineAddresses.ipv4[1], port: 6379 },
  ];
  await using world = await makeWorld({ exceptions });
  const { results, notices } = await world.probe(egress, [
    tcp('10.9.9.9', 80),
    tcp('10.9.9.9', 22),
    tcp('10.9.9.9', 443),
    tcp('172.16.5.5', 8443),
    tcp('fc00::5', 443),
    tcp('fc00::5', 80),
    tcp(machineAddresses.ipv4[1], 6379),
    tcp(machineAddresses.ipv4[0], 6379),
    { kind: 'name', host: 'inside.example' },
  ]);
  expect(results).toEqual([
    'connected',
    'connected',
    'ECONNREFUSED',
    'connected',
    'connected',
    'ECONNREFUSED',
    'connected',
    'ECONNREFUSED',
    '10.9.9.9',
  ]);
  expect(notices).toEqual([]);
  const allow: Network = { kind: 'allow', hosts: ['inside.example'] };
  const probe: Probe = { kind: 'http', host: 'inside.example', port: 80, name: 'inside.example' };
  expect((await world.probe(allow, [probe])).results).toEqual([
    expect.stringMatching(/^200 inside.example at 10.9.9.9/),
  ]);
});

describe('a machine without nft', () => {
  const without: WorldOptions = { path: '/usr/bin:/bin' };

  test('fails a build that asks for a network, with the remedy', async () => {
    await using world = await makeWorld(without);
    for (const network of [egress, { kind: 'allow', hosts: ['public.example'] }] as const) {
      const { error } = await world.build(network, 'true');
      expect(error).toMatch(/builds can have no network here: nft is not installed; see cofferdam doctor/);
    }
  });

  test('gives none to a build that does not insist, and says so once', async () => {
    await using world = await makeWorld(without);
    const { results, notices } = await world.probe({ kind: 'egress', otherwise: 'none' }, [
      tcp(publicly.ipv4),
    ]);
    expect(results).toEqual(['ENETUNREACH']);
    expect(notices).toEqual([
      'network: none, as builds can have no network here: nft is not installed; see cofferdam doctor',
    ]);
  });
});

test('a machine with routes to all private networks fails a build that asks for a network', async () => {
  await using world = await makeWorld();
  const networks = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '198.18.0.0/15', '100.64.0.0/10'];
  for (const network of networks) await world.onMachine('ip', 'route', 'add', network, 'dev', 'lan');
  expect((await world.build(egress, 'true')).error).toMatch(/routes to all private networks/);
});

test('a link whose name another has is left alone', async () => {
  await using world = await makeWorld();
  // Names are taken in turn, from the number of a process on: these are the next ones.
  await world.beside(egress, ['sleep', '1000'], async () => {
    const number = Number(/cfde(\d+)/.exec(await world.onMachine('ip', '-o', 'link'))?.[1]);
    for (let next = number + 1; next < number + 60; next++) {
      const name = `cfde${next % 4096}`;
      await world.onMachine('ip', 'link', 'add', name, 'type', 'veth', 'peer', 'name', `other${next}`);
    }
  });
  expect((await world.probe(egress, [tcp(publicly.ipv4)])).results).toEqual(['connected']);
});
