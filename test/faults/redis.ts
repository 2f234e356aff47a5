import { truncateSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisHandle } from '../../src/redis.ts';
import { startRedis } from '../redis.ts';

/** A server that can be hurt; it keeps what it acknowledges as the embedded one does. */
export interface FragileRedis {
  readonly url: string;
  readonly socket: string;
  /** The word that keys begin with. */
  readonly prefix: string;
  /** Of the driver, to look and to prepare. */
  readonly handle: RedisHandle;
  pid(): number;
  /** kill -9. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  /** Takes so many bytes from the end of the append-only file. The server must be dead. */
  cutTail(bytes: number): void;
  stop(): Promise<void>;
}

export async function startFragileRedis(): Promise<FragileRedis> {
  const server = await startRedis(['--appendonly', 'yes', '--appendfsync', 'everysec']);
  const handle = await server.connect();
  const { client } = handle;
  const directory = dirname(server.url.slice('redis+unix://'.length));
  const readPid = async () => Number(/process_id:(\d+)/.exec(await client.info('server'))?.[1]);
  let pid = await readPid();
  return {
    url: server.url,
    socket: join(directory, 'redis.sock'),
    prefix: handle.prefix.slice(1, handle.prefix.indexOf('}')),
    handle,
    pid: () => pid,
    kill: () => server.kill(),
    restart: async () => {
      await server.restart();
      while (client.status !== 'ready') await sleep(20);
      pid = await readPid();
    },
    cutTail: (bytes) => {
      const files = readdirSync(join(directory, 'appendonlydir'));
      const last =
        files
          .filter((name) => name.endsWith('.incr.aof'))
          .sort()
          .at(-1) ?? '';
      const file = join(directory, 'appendonlydir', last);
      truncateSync(file, Math.max(0, statSync(file).size - bytes));
    },
    stop: () => server.stop(),
  };
}
