import { once } from 'node:events';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll } from 'vitest';
import { start } from '../runtime/command.ts';
import { connectRedis, type RedisHandle } from '../src/redis.ts';

/** A private server in a temporary directory; it dies with this process at the latest. */
export interface TestRedis {
  /** A unix socket; the same after a restart. */
  readonly url: string;
  /** Connects under a prefix that nothing else uses. Ends with stop(). */
  connect(): Promise<RedisHandle>;
  /** kill -9. */
  kill(): Promise<void>;
  /** Starts it again after kill(), on the files it has. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** @param args further redis-server options, as `--appendonly yes`; by default it keeps nothing on disk */
export async function startRedis(args: readonly string[] = []): Promise<TestRedis> {
  const directory = mkdtempSync(join(tmpdir(), 'cofferdam-redis-'));
  const url = `redis+unix://${join(directory, 'redis.sock')}`;
  const handles: RedisHandle[] = [];
  let server = await launch(directory, args);
  let prefixes = 0;
  return {
    url,
    connect: async () => {
      const handle = await connectRedis({ url, prefix: `test-${prefixes++}` });
      handles.push(handle);
      return handle;
    },
    kill: () => server.kill(),
    restart: async () => {
      server = await launch(directory, args);
    },
    stop: async () => {
      await Promise.all(handles.map((handle) => handle.close()));
      await server.kill();
      rmSync(directory, { recursive: true });
    },
  };
}

/** One server for all tests of a file; call it at the top of the file. */
export function useRedis(): Pick<TestRedis, 'connect'> & { url(): string } {
  let redis: TestRedis;
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterAll(() => redis.stop());
  return { connect: () => redis.connect(), url: () => redis.url };
}

async function launch(directory: string, args: readonly string[]): Promise<{ kill(): Promise<void> }> {
  const log = join(directory, 'log');
  const fd = openSync(log, 'a');
  const server = start(
    {
      file: 'setpriv',
      args: ['--pdeathsig', 'KILL', 'redis-server', ...flags(directory), ...args],
    },
    { stdio: ['ignore', fd, fd] },
  );
  closeSync(fd);
  const closed = once(server, 'close');
  // A line of this start, not of the one before: the log goes on.
  const begin = new RegExp(`^${server.pid}:[MS] `, 'm');
  for (let waited = 0; ; waited++) {
    const text = readFileSync(log, 'utf8');
    const since = begin.exec(text)?.index;
    if (since !== undefined && text.includes('accept connections at', since)) break;
    if (waited === 1000 || server.exitCode !== null) throw new Error(`redis-server does not start:\n${text}`);
    await sleep(5);
  }
  return {
    kill: async () => {
      server.kill('SIGKILL');
      await closed;
    },
  };
}

function flags(directory: string): string[] {
  const quiet = ['--port', '0', '--save', '', '--appendonly', 'no'];
  return [...quiet, '--dir', directory, '--unixsocket', join(directory, 'redis.sock')];
}
