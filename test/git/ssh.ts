import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findTool } from '../../runtime/host/tools.ts';
import { thisHost } from '../../runtime/host.ts';
import { run, start } from '../../runtime/command.ts';
import { freePort } from '../free-port.ts';

export interface SshGitServer {
  /** `ssh://git@127.0.0.1:PORT` and the directory; a repository is below by its path in `root`. */
  readonly url: string;
  readonly port: number;
  /** Accepted by the server; OpenSSH's own format. */
  readonly privateKey: string;
  /** Lines of known_hosts(5) as `ssh-keyscan -p PORT 127.0.0.1` prints them, for any further host names too. */
  knownHosts(...hosts: readonly string[]): string;
  /** What it wrote so far. */
  log(): string;
  stop(): Promise<void>;
}

/**
 * A real sshd on a free loopback port whose user `git` may do what the superuser may. It has a mount namespace of its
 * own, with the accounts and the directory that it insists on; nothing of that is seen outside. Programs in `commands` can be called by name. Needs root.
 */
export async function serveSsh(root: string, commands = '/usr/local/bin'): Promise<SshGitServer> {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-sshd-'));
  const file = (name: string) => join(directory, name);
  for (const name of ['host', 'client']) {
    const args = ['-q', '-t', 'ed25519', '-N', '', '-C', name, '-f', file(name)];
    await run({ file: 'ssh-keygen', args });
  }
  const port = await freePort();
  mkdirSync(file('empty'));
  writeFileSync(
    file('passwd'),
    `${account('git', directory)}${account('sshd', file('empty'))}${account('root', directory)}`,
  );
  writeFileSync(
    file('config'),
    `
    ListenAddress 127.0.0.1:${port}
    HostKey ${file('host')}
    AuthorizedKeysFile ${file('client.pub')}
    PidFile none
    PermitRootLogin yes
    StrictModes no
    UsePAM no
    PasswordAuthentication no
    KbdInteractiveAuthentication no
    PrintMotd no
    SetEnv PATH=${commands}:/usr/bin:/bin
    LogLevel VERBOSE
    `,
  );
  // sshd wants to be called by its absolute path, and keeps /run/sshd for its unprivileged part.
  const program = findTool({ ...thisHost(directory), path: searched() }, 'sshd');
  if (program === undefined) throw new Error('there is no sshd: run bin/bootstrap --test');
  const script = `
    mount --bind "$1/passwd" /etc/passwd
    mount -t tmpfs tmpfs /run
    mkdir -m 755 /run/sshd
    exec "$2" -D -e -f "$1/config"`;
  const output = openSync(file('log'), 'a');
  const server = start(
    {
      file: 'unshare',
      args: ['--mount', 'setpriv', '--pdeathsig', 'KILL', 'sh', '-e', '-c', script, 'sh', directory, program],
      env: { ...process.env, LD_LIBRARY_PATH: join(import.meta.dirname, '../../.cofferdam-tools/lib') },
    },
    { stdio: ['ignore', output, output] },
  );
  closeSync(output);
  const closed = once(server, 'close');
  const log = () => readFileSync(file('log'), 'utf8');
  for (let attempt = 0; !(await listens(port)); attempt++) {
    if (attempt === 1000 || server.exitCode !== null) throw new Error(`sshd does not start:\n${log()}`);
    await sleep(5);
  }
  const [type, key] = readFileSync(file('host.pub'), 'utf8').split(' ');
  return {
    url: `ssh://git@127.0.0.1:${port}${root}`,
    port,
    privateKey: readFileSync(file('client'), 'utf8'),
    knownHosts: (...hosts) =>
      ['127.0.0.1', ...hosts].map((host) => `[${host}]:${port} ${type} ${key}\n`).join(''),
    log,
    async stop() {
      server.kill('SIGKILL');
      await closed;
      rmSync(directory, { recursive: true });
    },
  };
}

const account = (name: string, home: string) => `${name}:x:0:0::${home}:/bin/sh\n`;

const searched = () => [
  join(import.meta.dirname, '../../.cofferdam-tools/bin'),
  ...(process.env['PATH'] ?? '').split(':'),
  '/usr/sbin',
];

async function listens(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
