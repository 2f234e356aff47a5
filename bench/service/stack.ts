import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { start } from '../../runtime/command.ts';
import { startEmbeddedRedis } from '../../src/redis/embedded.ts';
import { connectRedis, type RedisHandle } from '../../src/redis.ts';
import { openTokens } from '../../src/tokens.ts';
import { frugal } from '../../src/up/frugal.ts';
import type { Site } from '../site.ts';

const program = join(import.meta.dirname, '../../bin/main.ts');

/** The whole service as processes of this machine, with a Redis, a storage and a history of its own. */
export interface Stack {
  readonly url: string;
  readonly token: string;
  readonly redis: RedisHandle;
  readonly pids: { readonly serve: number; readonly redis: number };
  /** Starts the worker; returns its pid when it takes builds. */
  startWorker(): Promise<number>;
  close(): Promise<void>;
}

export interface StackOptions {
  /** V8 profiles of API and worker are written here. */
  readonly profile?: string | undefined;
}

/** Builds side by side: two for each processor of the target machine. */
const slots = 4;

let stacks = 0;

export async function startStack(site: Site, { profile }: StackOptions = {}): Promise<Stack> {
  const directory = join(site.scratch, `stack-${stacks++}`);
  mkdirSync(directory);
  const server = await startEmbeddedRedis(join(directory, 'redis'), start);
  const redis = await connectRedis({ url: server.url, prefix: 'bench' });
  const { secret: token } = await openTokens(redis).create({ name: 'bench', scopes: ['admin'] });
  const env = {
    ...process.env,
    COFFERDAM_REDIS_URL: server.url,
    COFFERDAM_REDIS_PREFIX: 'bench',
    COFFERDAM_STORE: `file:${join(directory, 'archive')}`,
    COFFERDAM_RATE_LIMIT: '100000000',
    COFFERDAM_LOG_LEVEL: 'fatal',
  };
  const ends: (() => Promise<void>)[] = [];
  const launch = (
    name: string,
    args: readonly string[],
    more: NodeJS.ProcessEnv,
    nodeOptions: readonly string[] = [],
  ) => {
    const profiling = profile === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${join(profile, name)}`];
    const child = start(
      {
        file: process.execPath,
        args: [...nodeOptions, ...profiling, program, name, '--supervised', ...args],
        env: { ...env, ...more },
      },
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    ends.push(async () => {
      const closed = once(child, 'close');
      child.kill('SIGTERM');
      if (child.exitCode === null && child.signalCode === null) await closed;
    });
    return child;
  };

  // As it is started where it is in use.
  const settings = Object.fromEntries(frugal.environment.map((setting) => setting.split('=')));
  const place = { COFFERDAM_DATA: join(directory, 'serve'), COFFERDAM_LISTEN: '127.0.0.1:0' };
  const serve = launch('serve', [], { ...settings, ...place }, frugal.nodeOptions);
  const url = await listening(serve.stdout);
  const serverPid = Number(/process_id:(\d+)/.exec(await redis.client.info('server'))?.[1]);
  return {
    url,
    token,
    redis,
    pids: { serve: serve.pid ?? 0, redis: serverPid },
    startWorker: async () => {
      const args = ['--id', 'bench', '--slots', String(slots), '--headroom', '1MiB', '--drain', '1s'];
      const worker = launch('worker', args, { COFFERDAM_DATA: site.dataDir });
      while ((await redis.client.hlen(`${redis.prefix}beats`)) === 0) await sleep(10);
      return worker.pid ?? 0;
    },
    close: async () => {
      for (const end of ends.toReversed()) await end();
      await redis.close();
      await server.stop();
    },
  };
}

async function listening(stdout: NodeJS.ReadableStream | null): Promise<string> {
  if (!stdout) throw new TypeError('serve was started without stdout');
  const lines = createInterface({ input: stdout });
  for await (const line of lines) {
    const { url }: { url?: string } = JSON.parse(line);
    if (url === undefined) continue;
    stdout.resume();
    return url;
  }
  throw new Error('serve ended before it listened');
}

/** Looking must not be what Redis is busy with. */
const lookMs = 20;

/** Resolves when no build waits or runs, and every one that ended is in storage; at most 20 ms later. */
export async function untilArchived({ redis: { client, prefix } }: Stack): Promise<void> {
  const sets = ['i:s:queued', 'i:s:running', 'unarchived'].map((name) => prefix + name);
  while ((await Promise.all(sets.map((key) => client.zcard(key)))).some((count) => count > 0)) {
    await sleep(lookMs);
  }
}

/** Processor time of a process so far, without its children, in milliseconds (proc(5), 100 ticks a second). */
export function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
}

/** Processor time of everything on this machine so far, of all its processors, in milliseconds (proc(5)). */
export function machineCpuMs(): number {
  const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
    .split(/\s+/, 8)
    .map(Number);
  return [user, nice, system, irq, softirq].reduce<number>((sum, ticks = 0) => sum + ticks * 10, 0);
}

/** Resident memory of a process, in bytes. */
export function residentOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;
}
