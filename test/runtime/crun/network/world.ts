import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { expect } from 'vitest';
import { run, start } from '../../../../runtime/command.ts';
import type { NetworkOptions } from '../../../../runtime/crun/network.ts';
import type { Network } from '../../../../runtime/sandbox.ts';
import { testData } from '../../../rootfs.ts';
import type { Probe } from './client/client.ts';
import type { Order, Report, Stop } from './machine.ts';
import { privately, publicly } from './zone.ts';

/** A machine that runs builds, and an internet, each a network namespace; nothing of the real machine's network is touched. */
export interface World extends AsyncDisposable {
  readonly dataDir: string;
  /** The process that holds the namespace of the internet. */
  readonly internet: number;
  /** What a build gets for probes; those that run at the same time run on the same machine. */
  probe(
    network: Network,
    probes: readonly Probe[],
  ): Promise<{ results: string[]; notices: readonly string[] }>;
  /** Runs a command as a build. */
  build(network: Network, ...args: readonly [string, ...string[]]): Promise<Report>;
  /** Runs a command as a build, for as long as `work` takes, which gets the build's addresses; no other may run. */
  beside(
    network: Network,
    args: readonly [string, ...string[]],
    work: (addresses: readonly string[]) => Promise<void>,
  ): Promise<void>;
  /** Runs a command of this machine in the namespace; its stdout. */
  onMachine(...command: readonly [string, ...string[]]): Promise<string>;
  inInternet(...command: readonly [string, ...string[]]): Promise<string>;
  /** SIGKILL to the worker; the machine stays. */
  killWorker(): Promise<void>;
}

/** Addresses of the machine; what it listens on is at 6379. */
export const machineAddresses = {
  ipv4: ['203.0.113.1', '10.77.0.1', '192.0.2.77'],
  ipv6: ['2001:db8::1', 'fd77::1'],
} as const;

export interface WorldOptions extends NetworkOptions {
  /** Settings of the machine, as sysctl(8) names them with slashes; default: it forwards both families. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** PATH of the worker. */
  readonly path?: string;
  /** Further directories for the workspace of each build. */
  readonly sources?: readonly string[];
}

export async function makeWorld({
  sysctls,
  path,
  sources = [],
  ...network
}: WorldOptions = {}): Promise<World> {
  mkdirSync(testData, { recursive: true });
  const dataDir = mkdtempSync(join(testData, 'lab-'));
  const machine = await namespace();
  const internet = await namespace();
  const onMachine = inside(machine.pid);
  const inInternet = inside(internet.pid);

  const prepared = 'ip link set lo up; echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad';
  await inInternet('sh', '-euc', prepared);
  await onMachine(
    'sh',
    '-euc',
    `
    ${prepared}
    ip link add wan type veth peer name wan netns ${internet.pid}
    ip address add ${machineAddresses.ipv4[0]}/24 dev wan
    ip address add ${machineAddresses.ipv4[2]}/32 dev wan
    ip address add ${machineAddresses.ipv6[0]}/64 dev wan
    ip link set wan up
    ip link add lan type veth peer name lan-peer
    ip address add ${machineAddresses.ipv4[1]}/24 dev lan
    ip address add ${machineAddresses.ipv6[1]}/64 dev lan
    ip link set lan up && ip link set lan-peer up
    ip route add default via 203.0.113.254
    ip -6 route add default via 2001:db8::fe
    ${Object.entries({ 'net/ipv4/ip_forward': '1', 'net/ipv6/conf/all/forwarding': '1', ...sysctls })
      .map(([key, value]) => `echo ${value} >/proc/sys/${key}`)
      .join('\n')}
    `,
  );
  const addresses = [publicly.ipv4, publicly.otherIPv4, publicly.nameServer, ...privately.ipv4];
  await inInternet(
    'sh',
    '-euc',
    `
    ip address add 203.0.113.254/24 dev wan
    ip address add 2001:db8::fe/64 dev wan
    ip link set wan up
    # Class E is no address for ip(8) unless it is routed.
    ${addresses.map((each) => `ip route add local ${each}/32 dev lo`).join('\n')}
    ${[publicly.ipv6, ...privately.ipv6].map((each) => `ip -6 address add ${each}/128 dev lo`).join('\n')}
    `,
  );
  const servers = script(internet.pid, ['internet.ts']);
  const worker = script(
    machine.pid,
    [
      'machine.ts',
      dataDir,
      JSON.stringify({ nameServers: [{ address: publicly.nameServer, port: 53 }], ...network }),
      ...sources,
    ],
    path,
  );
  await Promise.all([servers.ready, worker.ready]);

  const waiting = new Map<number, (report: Report) => void>();
  worker.lines((line) => {
    const report: Report = JSON.parse(line);
    waiting.get(report.id)?.(report);
    waiting.delete(report.id);
  });
  let orders = 0;
  const send = (order: Order | Stop) => worker.child.stdin?.write(`${JSON.stringify(order)}\n`);
  const build: World['build'] = (wanted, ...args) => {
    const order: Order = { id: orders++, network: wanted, args };
    const { promise, resolve } = Promise.withResolvers<Report>();
    waiting.set(order.id, resolve);
    send(order);
    return promise;
  };

  return {
    dataDir,
    internet: internet.pid,
    build,
    probe: async (wanted, probes) => {
      const report = await build(wanted, './node', 'client.ts', JSON.stringify(probes));
      if (report.code !== 0) throw new Error(report.error ?? report.output);
      return { results: JSON.parse(report.output), notices: report.notices };
    },
    beside: async (wanted, args, work) => {
      // The kernel takes interfaces of builds that ended away in the background.
      await expect.poll(() => onMachine('ip', '-o', 'link')).not.toContain('cfd');
      const number = orders;
      const ended = build(wanted, ...args);
      const listening = async () => {
        const text = await onMachine('ip', '-o', 'address');
        const ends = text.matchAll(/ cfd\w+ +inet6? ([0-9a-f.:]*?)(\w*)\/(?:31|127) /g);
        return [...ends].map(([, front = '', last = '']) => front + following(front, last));
      };
      try {
        await expect.poll(listening).not.toEqual([]);
        await work(await listening());
      } finally {
        send({ stop: number });
        await ended;
      }
    },
    onMachine,
    inInternet,
    killWorker: async () => {
      const gone = once(worker.child, 'close');
      worker.child.kill('SIGKILL');
      await gone;
    },
    [Symbol.asyncDispose]: async () => {
      for (const { child } of [worker, servers, machine, internet]) {
        if (child.exitCode !== null || child.signalCode !== null) continue;
        const gone = once(child, 'close');
        child.kill('SIGKILL');
        await gone;
      }
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** The host's end of a link has the even address, the build's the next one. */
function following(front: string, last: string): string {
  return front.includes(':') ? (Number.parseInt(last || '0', 16) + 1).toString(16) : String(Number(last) + 1);
}

/** A network namespace that lasts as long as its process, which ends with this one. */
export async function namespace() {
  const child = start(
    { file: 'unshare', args: ['--net', 'sh', '-c', 'echo && exec cat'] },
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  if (!child.stdout || child.pid === undefined) throw new Error('unshare cannot be started');
  await once(child.stdout, 'data');
  return { child, pid: child.pid };
}

/** Runs commands in the network namespace of a process. */
export function inside(pid: number) {
  return async (...command: readonly [string, ...string[]]): Promise<string> => {
    const args = [`--net=/proc/${pid}/ns/net`, ...command];
    return (await run({ file: 'nsenter', args })).stdout.toString();
  };
}

/** A script of this directory in a namespace, once it says `ready`. */
function script(pid: number, [file, ...args]: readonly [string, ...string[]], path?: string) {
  const command = [`--net=/proc/${pid}/ns/net`, process.execPath, join(import.meta.dirname, file), ...args];
  const env = { ...process.env, ...(path !== undefined && { PATH: path }) };
  const child = start({ file: 'nsenter', args: command, env }, { stdio: ['pipe', 'pipe', 'inherit'] });
  if (!child.stdout) throw new Error('nsenter cannot be started');
  const listeners: ((line: string) => void)[] = [];
  const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
  child.on('close', () => reject(new Error(`${file} ended`)));
  ready.catch(() => {});
  createInterface(child.stdout).on('line', (line) => {
    if (line === 'ready') resolve();
    else for (const listener of listeners) listener(line);
  });
  return { child, ready, lines: (listener: (line: string) => void) => void listeners.push(listener) };
}
