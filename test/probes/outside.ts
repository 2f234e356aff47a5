import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { run } from '../../runtime/command.ts';
import { testData } from '../rootfs.ts';

/**
 * Things of the machine that a build must neither find nor reach, and the text that tells the probes of them: a secret, a file,
 * a process, servers on the loopback, on all addresses and on an abstract socket, shared memory.
 */
export interface Outside extends AsyncDisposable {
  /** Nobody has it but us. */
  readonly secret: string;
  readonly facts: string;
}

const namespaces = ['cgroup', 'ipc', 'mnt', 'net', 'pid', 'user', 'uts'];

/** Further facts are those that only the caller knows, such as the size of the disk; see programs/. */
export async function createOutside(more: Readonly<Record<string, string | number>>): Promise<Outside> {
  const secret = randomBytes(16).toString('hex');
  mkdirSync(testData, { recursive: true });
  const directory = mkdtempSync(join(testData, 'outside-'));
  const file = join(directory, 'canary');
  writeFileSync(file, secret);
  const abstract = `cofferdam-probe-${secret.slice(0, 8)}`;
  const { services = '', ...others } = more;
  const servers = await Promise.all([
    listen({ host: '127.0.0.1', port: 0 }),
    listen({ path: `\0${abstract}` }),
    listen({ path: join(directory, 'socket') }),
    listen({ host: '0.0.0.0', port: 0 }),
  ]);
  const addresses = Object.values(networkInterfaces())
    .flatMap((each) => each ?? [])
    .filter(({ family, internal }) => family === 'IPv4' && !internal);
  const { stdout } = await run({ file: 'ipcmk', args: ['--shmem', '4096'] });
  const memory = /\d+/.exec(stdout.toString())?.[0] ?? '';
  const facts: Record<string, string | number> = {
    canary: secret,
    file,
    pid: process.pid,
    port: portOf(servers[0]),
    everywhere: portOf(servers[3]),
    addresses: addresses.map(({ address }) => address).join(' '),
    abstract,
    sockets: `${join(directory, 'socket')} ${services}`,
    ...Object.fromEntries(namespaces.map((name) => [`ns.${name}`, readlinkSync(`/proc/self/ns/${name}`)])),
    ...others,
  };
  return {
    secret,
    facts: Object.entries(facts)
      .map(([name, value]) => `${name} ${value}\n`)
      .join(''),
    [Symbol.asyncDispose]: async () => {
      for (const server of servers) server.close();
      await run({ file: 'ipcrm', args: ['--shmem-id', memory] });
      rmSync(directory, { recursive: true });
    },
  };
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address ? address.port : 0;
}

async function listen(where: { host: string; port: number } | { path: string }): Promise<Server> {
  // Whoever reaches it has shown so, and may be gone.
  const server = createServer((socket) => socket.on('error', () => {}).end('reached\n')).listen(where);
  await once(server, 'listening');
  return server;
}
