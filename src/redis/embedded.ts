import type { ChildProcess, SpawnOptions } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis, type RedisOptions } from 'ioredis';
import { RedisError } from './error.ts';

/** Starts a process; runtime/command.ts has the one to pass. */
export type StartProcess = (
  command: { readonly file: string; readonly args: readonly string[] },
  options: SpawnOptions,
) => ChildProcess;

export interface EmbeddedRedis {
  readonly url: string;
  /** Ends the server when everything it acknowledged is on disk; also one that was found running. */
  stop(): Promise<void>;
}

const programs = ['valkey-server', 'redis-server'] as const;

/** Longest path of a unix socket, sockaddr_un(7). */
const maxSocketPathBytes = 107;

/** flock(1)'s exit codes: the lock is held (as asked for), and the program cannot be executed. */
const exitLocked = 75;
const exitNoProgram = 69;

const startMs = 10_000;

/**
 * A private server with its data, socket and log (`redis.log`) in `directory`, or the one that already runs there. It is
 * in a session of its own: neither Ctrl-C nor the end of this process, however sudden, ends it. Throws RedisError.
 * @param directory absolute; made with mode 0700
 */
export async function startEmbeddedRedis(directory: string, start: StartProcess): Promise<EmbeddedRedis> {
  const socket = join(directory, 'redis.sock');
  if (Buffer.byteLength(socket) > maxSocketPathBytes) {
    throw new RedisError(
      'address',
      `${socket} is longer than the ${maxSocketPathBytes} bytes a unix socket may have; choose a shorter COFFERDAM_DATA`,
    );
  }
  await mkdir(directory, { recursive: true, mode: 0o700 });
  await untilAlive(directory, socket, start);
  return { url: embeddedRedisUrl(directory), stop: () => stop(socket) };
}

/** Where the server of a directory is to be found, whether it runs or not. */
export function embeddedRedisUrl(directory: string): string {
  const path = join(directory, 'redis.sock').split('/').map(encodeURIComponent).join('/');
  return `redis+unix://${path}`;
}

async function untilAlive(directory: string, socket: string, start: StartProcess): Promise<void> {
  let candidates: readonly string[] = programs;
  let server: Server | undefined;
  // Loading a long append-only file takes as long as it takes; only silence is counted.
  for (let deadline = performance.now() + startMs; performance.now() < deadline; await sleep(10)) {
    const state = await ping(socket);
    if (state === 'alive') return;
    if (state === 'loading') {
      deadline = performance.now() + startMs;
      continue;
    }
    if (server?.exitCode() === undefined && server) continue;
    const code = server?.exitCode();
    if (code === exitNoProgram) candidates = candidates.slice(1);
    else if (code !== undefined && code !== exitLocked) throw await broken(directory, `exit code ${code}`);
    const [program] = candidates;
    if (program === undefined) throw missing();
    // The lock is held by someone else's server that starts or ends just now: ask again, not too often.
    if (code === exitLocked) await sleep(50);
    server = await launch(directory, program, start);
  }
  throw await broken(directory, `no answer on ${socket} within ${startMs / 1000} s`);
}

interface Server {
  exitCode(): number | undefined;
}

async function launch(directory: string, program: string, start: StartProcess): Promise<Server> {
  const log = await open(join(directory, 'redis.log'), 'a', 0o600);
  try {
    const child = start(serverCommand(directory, program), {
      detached: true,
      stdio: ['ignore', log.fd, log.fd],
    });
    const failed = once(child, 'error').then(([error]) => error as unknown);
    const error = await Promise.race([failed, once(child, 'spawn').then(() => undefined)]);
    if (error) throw new RedisError('missing', 'cannot start flock (package util-linux)', { cause: error });
    child.unref();
    return { exitCode: () => child.exitCode ?? (child.signalCode === null ? undefined : 128) };
  } finally {
    await log.close();
  }
}

/**
 * The server below a lock that the kernel frees when it is gone: a second server would take the socket away from the
 * first and write into the same append-only file.
 */
function serverCommand(directory: string, program: string): { file: string; args: string[] } {
  return {
    file: 'flock',
    args: [
      '--nonblock',
      '--no-fork',
      `--conflict-exit-code=${exitLocked}`,
      join(directory, 'redis.lock'),
      program,
      ...flags({
        port: '0',
        unixsocket: join(directory, 'redis.sock'),
        unixsocketperm: '700',
        dir: directory,
        appendonly: 'yes',
        appendfsync: 'everysec',
        save: '',
        'maxmemory-policy': 'noeviction',
      }),
    ],
  };
}

function flags(options: Readonly<Record<string, string>>): string[] {
  return Object.entries(options).flatMap(([name, value]) => [`--${name}`, value]);
}

async function ping(socket: string): Promise<'alive' | 'loading' | 'silent'> {
  const client = connection(socket, { commandTimeout: 2_000 });
  try {
    await client.connect();
    await client.ping();
    return 'alive';
  } catch (error) {
    return error instanceof Error && error.message.startsWith('LOADING') ? 'loading' : 'silent';
  } finally {
    client.disconnect();
  }
}

async function stop(socket: string): Promise<void> {
  const client = connection(socket, {});
  try {
    await client.connect();
    // Answers by ending; before that it writes and syncs its append-only file.
    await client.shutdown();
  } catch (error) {
    const { message } = error instanceof Error ? error : new Error(String(error));
    if (!/closed|ENOENT|ECONNREFUSED|ECONNRESET/.test(message)) throw error;
  } finally {
    client.disconnect();
  }
  while ((await ping(socket)) !== 'silent') await sleep(10);
}

function connection(socket: string, more: Pick<RedisOptions, 'commandTimeout'>): Redis {
  const client = new Redis({
    ...more,
    path: socket,
    lazyConnect: true,
    enableReadyCheck: false,
    connectTimeout: 1_000,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  return client.on('error', () => {});
}

function missing(): RedisError {
  return new RedisError(
    'missing',
    `no ${programs.join(' or ')} on PATH. Install one (apt-get install redis-server), or set COFFERDAM_REDIS_URL`,
  );
}

async function broken(directory: string, what: string): Promise<RedisError> {
  const file = join(directory, 'redis.log');
  const lines = (await readFile(file, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-5).join('\n');
  return new RedisError(
    'broken',
    `the Redis in ${directory} does not start: ${what}. Its log, ${file}, ends:\n${lines}`,
  );
}
