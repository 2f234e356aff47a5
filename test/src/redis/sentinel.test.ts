import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { expect, test } from 'vitest';
import { start } from '../../../runtime/command.ts';
import { connectRedis } from '../../../src/redis.ts';
import { freePort } from '../client/server.ts';
import { temporaryDirectory } from '../../workers/directory.ts';

const patienceMs = 60_000;

/** A server of a port; it dies with this process at the latest. */
function server(args: readonly string[]) {
  const child = start(
    { file: 'setpriv', args: ['--pdeathsig', 'KILL', 'redis-server', ...args] },
    { stdio: 'ignore' },
  );
  const closed = once(child, 'close');
  return {
    kill: async () => {
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** What is asked of a port until the answer is as wanted. */
async function until(port: number, wanted: (redis: Redis) => Promise<boolean>): Promise<void> {
  const redis = new Redis({ port, retryStrategy: () => 50, maxRetriesPerRequest: null });
  redis.on('error', () => {});
  try {
    for (const deadline = performance.now() + patienceMs; performance.now() < deadline; await sleep(50)) {
      if (await wanted(redis)) return;
    }
    throw new Error(`port ${port}: not within ${patienceMs} ms`);
  } finally {
    redis.disconnect();
  }
}

test('redis+sentinel:// finds the master, and the next one when it dies', async () => {
  using files = temporaryDirectory();
  const [first, second, watch] = [await freePort(), await freePort(), await freePort()];
  const place = ['--dir', files.path, '--save', '', '--bind', '127.0.0.1'];
  files.write({
    'sentinel.conf': [
      `port ${watch}`,
      'bind 127.0.0.1',
      `sentinel monitor main 127.0.0.1 ${first} 1`,
      'sentinel down-after-milliseconds main 500',
      'sentinel failover-timeout main 2000',
    ].join('\n'),
  });
  const master = server(['--port', String(first), ...place]);
  const replica = server(['--port', String(second), ...place, '--replicaof', '127.0.0.1', String(first)]);
  await until(second, async (redis) => (await redis.info('replication')).includes('master_link_status:up'));
  const sentinel = server([join(files.path, 'sentinel.conf'), '--sentinel']);
  await until(watch, async (redis) => {
    const replicas = await redis.call('SENTINEL', 'REPLICAS', 'main');
    return Array.isArray(replicas) && replicas.length === 1;
  });

  const handle = await connectRedis({ url: `redis+sentinel://127.0.0.1:${watch}/main`, prefix: 'sentinel' });
  const subscriber = handle.duplicate('test');
  try {
    const heard: string[] = [];
    subscriber.on('message', (_channel: string, message: string) => heard.push(message));
    await subscriber.subscribe('news');
    await handle.client.set('key', 'before');
    await until(second, async (redis) => (await redis.get('key')) === 'before');

    await master.kill();
    await until(second, async (redis) => (await redis.info('replication')).includes('role:master'));
    await expect
      .poll(() => handle.client.get('key').catch(() => undefined), { timeout: patienceMs })
      .toBe('before');
    await handle.client.set('key', 'after');
    await until(second, async (redis) => (await redis.get('key')) === 'after');
    await expect
      .poll(async () => (await handle.client.publish('news', 'hello'), heard.length), { timeout: patienceMs })
      .toBeGreaterThan(0);
  } finally {
    await handle.close();
    await Promise.all([sentinel.kill(), replica.kill(), master.kill()]);
  }
}, 180_000);
