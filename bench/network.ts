import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { basename, join } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { run, start } from '../runtime/command.ts';
import { inside, makeWorld, namespace, type World } from '../test/runtime/crun/network/world.ts';
import { publicly } from '../test/runtime/crun/network/zone.ts';
import { type Row, summarise } from './row.ts';
import { table } from './table.ts';
import { takeTurns } from './turns.ts';

const { json, rounds } = new Command('bench:network')
  .description('Measures the network of builds against a plain veth. Needs root and iperf3.')
  .option('--json', 'print one JSON document instead of a table')
  .option('--rounds <count>', 'transfers of two seconds each', whole, 10)
  .parse()
  .opts<{ json?: boolean; rounds: number }>();

const plainly = 'plain veth, no sandbox';
const routed = 'router with NAT, no sandbox';
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('stopped')));
const directory = mkdtempSync('/var/tmp/cofferdam-bench-network-');
try {
  await copyProgram('iperf3', directory);
  await using world = await makeWorld({ sources: [directory] });
  const rows = (await measure(world)).map(summarise);
  const results = [{ figure: 'egress', rows }];
  const machine = { processors: cpus().length, kernel: release(), node: process.version };
  process.stdout.write(json ? `${JSON.stringify({ machine, results }, null, 2)}\n` : table(results));
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/**
 * The build's way leads over the machine. Of its peers, one's leads straight to the same servers; the other's over a machine
 * that does for it what any must whose builds have no public addresses, and no more.
 */
async function measure(world: World): Promise<Row[]> {
  const plain = await namespace();
  const client = await namespace();
  const router = await namespace();
  const onPlain = inside(plain.pid);
  const onClient = inside(client.pid);
  await onClient(
    'sh',
    '-euc',
    `ip link set lo up; ip link add eth0 type veth peer name client netns ${router.pid}`,
  );
  await inside(router.pid)(
    'sh',
    '-euc',
    `
    echo 1 >/proc/sys/net/ipv4/ip_forward
    ip address add 198.51.100.1/24 dev client
    ip link set client up
    ip link add wan type veth peer name router netns ${world.internet}
    ip address add 192.0.3.2/24 dev wan
    ip link set wan up
    ip route add default via 192.0.3.1
    nft 'add table ip nat; add chain ip nat leave { type nat hook postrouting priority srcnat; oifname wan masquerade; }'
    `,
  );
  await onClient(
    'sh',
    '-euc',
    'ip address add 198.51.100.2/24 dev eth0; ip link set eth0 up; ip route add default via 198.51.100.1',
  );
  await world.inInternet('sh', '-euc', 'ip address add 192.0.3.1/24 dev router; ip link set router up');
  await onPlain(
    'sh',
    '-euc',
    `
    ip link set lo up
    ip link add eth0 type veth peer name plain netns ${world.internet}
    ip address add 192.0.2.2/24 dev eth0
    ip link set eth0 up
    `,
  );
  await world.inInternet('sh', '-euc', 'ip address add 192.0.2.1/24 dev plain; ip link set plain up');
  const server = start(
    { file: 'nsenter', args: [`--net=/proc/${world.internet}/ns/net`, 'iperf3', '--server', '--forceflush'] },
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  if (server.stdout) await once(server.stdout, 'data');
  const build = async (...args: readonly [string, ...string[]]) => {
    const { output, code, error } = await world.build({ kind: 'egress' }, ...args);
    if (code !== 0) throw new Error(error ?? output);
    return output;
  };
  const connect = join(import.meta.dirname, '../test/runtime/crun/network/client/connect.ts');
  /** Microseconds to an event, in the build and outside. */
  const connecting = (event: string, port: string) =>
    takeTurns(stop.signal, rounds, [
      async () => Number(await build('./node', 'connect.ts', publicly.ipv4, port, '2000', event)),
      async () => Number(await onPlain(process.execPath, connect, '192.0.2.1', port, '2000', event)),
      async () => Number(await onClient(process.execPath, connect, publicly.ipv4, port, '2000', event)),
    ]);
  try {
    const [ours = [], peer = [], natted = []] = await takeTurns(stop.signal, rounds, [
      async () => speed(await build('env', 'LD_LIBRARY_PATH=.', './iperf3', ...transfer(publicly.ipv4))),
      async () => speed(await onPlain('iperf3', ...transfer('192.0.2.1'))),
      async () => speed(await onClient('iperf3', ...transfer(publicly.ipv4))),
    ]);
    const connects = await connecting('connect', '80');
    const answers = await connecting('data', '22');
    return [
      {
        what: 'TCP to a host in another namespace',
        unit: 'MB/s',
        better: 'more',
        samples: ours,
        peers: [
          { name: plainly, samples: peer, target: { kind: 'gain', limit: 0.95 } },
          { name: routed, samples: natted },
        ],
      },
      setUp('TCP handshake', connects),
      setUp('TCP connection until the first byte of the server', answers),
    ];
  } finally {
    for (const { child } of [{ child: server }, plain, client, router]) child.kill('SIGKILL');
  }
}

function transfer(host: string): string[] {
  return ['--client', host, '--time', '2', '--json'];
}

function speed(report: string): number {
  const { end }: { end: { sum_received: { bits_per_second: number } } } = JSON.parse(report);
  return end.sum_received.bits_per_second / 8e6;
}

function setUp(what: string, [samples = [], peer = [], natted = []]: readonly number[][]): Row {
  const target = { kind: 'cost', limit: 1.1 } as const;
  const peers = [
    { name: plainly, samples: peer, target },
    { name: routed, samples: natted, target },
  ];
  return { what, unit: 'µs', better: 'less', samples, peers };
}

/** A program of this machine with the libraries that a minimal system lacks. */
async function copyProgram(name: string, to: string): Promise<void> {
  const found = (await run({ file: 'sh', args: ['-c', `command -v ${name}`] })).stdout.toString().trim();
  const libraries = (await run({ file: 'ldd', args: [found] })).stdout.toString();
  const paths = [...libraries.matchAll(/=> (\/\S*(?:iperf|sctp|ssl|crypto)\S*)/g)].map(
    ([, path = '']) => path,
  );
  for (const path of [found, ...paths]) copyFileSync(path, join(to, basename(path)));
}

function whole(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('a whole number above 0');
  return number;
}
