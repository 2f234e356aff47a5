import { join } from 'node:path';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ChildProcess } from 'node:child_process';
import { start } from '../../runtime/command.ts';
import { type Client, openClient } from '../../src/client.ts';
import { openTokens } from '../../src/tokens.ts';
import { type Child, keepRunning } from '../../src/up/child.ts';
import { type Journal, openJournal } from '../../src/up/journal.ts';
import { type Link, openLink } from './link.ts';
import { type FragileRedis, startFragileRedis } from './redis.ts';

const program = join(import.meta.dirname, '../../bin/main.ts');

/** A process of ours, started again when it dies, as `cofferdam up` and systemd do. */
export interface Victim {
  readonly name: string;
  /** Undefined while it is down. */
  pid(): number | undefined;
  /** To the process that runs now; to none when it is down. */
  signal(signal: NodeJS.Signals): void;
  /** What it has logged since the round began. */
  readonly log: readonly Said[];
}

export interface WorkerVictim extends Victim {
  /** Its way to Redis. */
  readonly link: Link;
}

interface Said {
  readonly level: number;
  readonly msg: string;
}

export interface Service {
  readonly redis: FragileRedis;
  readonly api: Victim;
  readonly workers: readonly [WorkerVictim, WorkerVictim];
  readonly client: Client;
  readonly url: string;
  readonly token: string;
  /** A storage URL. */
  readonly store: string;
  /** Resolves when API and workers are ready. */
  ready(): Promise<void>;
  /** SIGTERM to the workers, then to the API; returns the names of those that had to be killed. */
  close(): Promise<string[]>;
}

export interface ServiceOptions {
  readonly dataDir: string;
  readonly scratch: string;
  readonly store?: string;
  /** Of the workers, beyond this process's own. */
  readonly env?: NodeJS.ProcessEnv;
  readonly slots?: number;
}

/** One Redis, one API process and the workers `w1` and `w2`, all as real processes on this machine. */
export async function startService(options: ServiceOptions): Promise<Service> {
  const { dataDir, scratch, slots = 4 } = options;
  const redis = await startFragileRedis();
  const { secret: token } = await openTokens(redis.handle).create({ name: 'faults', scopes: ['admin'] });
  const journal = openJournal(join(scratch, 'log'), () => {});
  const store = options.store ?? `file:${join(scratch, 'archive')}`;
  const port = await freePort();
  const common = {
    ...process.env,
    COFFERDAM_REDIS_PREFIX: redis.prefix,
    COFFERDAM_STORE: store,
    COFFERDAM_LOG_LEVEL: 'info',
    COFFERDAM_RATE_LIMIT: '1000000',
  };
  const api = keepVictim('serve', journal, ['serve', '--supervised'], {
    ...common,
    COFFERDAM_DATA: join(scratch, 'serve'),
    COFFERDAM_LISTEN: `127.0.0.1:${port}`,
    COFFERDAM_REDIS_URL: redis.url,
  });
  const worker = async (name: string) => {
    const link = await openLink({ path: redis.socket });
    const args = ['worker', '--supervised', '--id', name, '--slots', String(slots), '--drain', '4s'];
    const kept = keepVictim(name, journal, [...args, '--headroom', '1MiB', '--cpus', '16'], {
      ...common,
      ...options.env,
      COFFERDAM_DATA: dataDir,
      COFFERDAM_REDIS_URL: `redis://127.0.0.1:${link.port}`,
    });
    return { ...kept, link };
  };
  const workers = [await worker('w1'), await worker('w2')] as const;
  const url = `http://127.0.0.1:${port}`;
  const client = openClient({ url, token }, () => {});

  return {
    redis,
    api,
    workers,
    client,
    url,
    token,
    store,
    ready: async () => {
      for (const deadline = performance.now() + 30_000; ; await sleep(50)) {
        const found = await redis.handle.client.hlen(`${redis.handle.prefix}beats`);
        const answer = await fetch(`${url}/readyz`).catch(() => undefined);
        if (found === 2 && answer?.ok) {
          // A client is patient only with a service that has answered it before.
          await Array.fromAsync(client.builds({}));
          return;
        }
        if (performance.now() > deadline) throw new Error(`the service does not start; see ${scratch}/log`);
      }
    },
    close: async () => {
      const killed: string[] = [];
      for (const { name, end } of [...workers, api]) if ((await end()) === 'killed') killed.push(name);
      for (const { link } of workers) await link.close();
      await redis.stop();
      return killed;
    },
  };
}

function keepVictim(name: string, journal: Journal, args: readonly string[], env: NodeJS.ProcessEnv) {
  let current: ChildProcess | undefined;
  const log: Said[] = [];
  const child: Child = keepRunning({
    name,
    journal,
    onEntry: ({ level, msg }) => log.push({ level, msg }),
    launch: () =>
      (current = start(
        { file: process.execPath, args: [program, ...args], env },
        { stdio: ['pipe', 'pipe', 'pipe'], detached: true },
      )),
  });
  const running = () => (current?.exitCode === null && current.signalCode === null ? current : undefined);
  return {
    name,
    log,
    pid: () => running()?.pid,
    signal: (signal: NodeJS.Signals) => void running()?.kill(signal),
    end: async (): Promise<'ended' | 'killed'> => {
      let how: 'ended' | 'killed' = 'ended';
      const patience = setTimeout(() => {
        how = 'killed';
        child.stop('SIGKILL');
      }, 15_000);
      // A stopped process gets no SIGTERM.
      running()?.kill('SIGCONT');
      child.stop('SIGTERM');
      await child.ended.catch(() => {});
      clearTimeout(patience);
      return how;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port');
  return address.port;
}
