import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { start } from '../../runtime/command.ts';
import { connectRedis, type RedisHandle } from '../../src/redis.ts';
import { parseRedisAddress, withoutPassword } from '../../src/redis/address.ts';
import { startEmbeddedRedis } from '../../src/redis/embedded.ts';
import { createScript } from '../../src/redis/script.ts';
import { startRedis, useRedis } from '../redis.ts';

describe('a Redis URL', () => {
  const plain = { kind: 'server', at: { host: 'h', port: 6379 }, tls: false, db: 0 };
  test.each([
    ['redis://h', plain],
    ['redis://h:7000/3', { ...plain, at: { host: 'h', port: 7000 }, db: 3 }],
    ['redis://[::1]:7000', { ...plain, at: { host: '::1', port: 7000 } }],
    ['rediss://u:p%40ss@h', { ...plain, tls: true, username: 'u', password: 'p@ss' }],
    ['redis://:p:q@h', { ...plain, password: 'p:q' }],
    ['redis+unix:///run/a%20b/r.sock?db=2', { kind: 'socket', path: '/run/a b/r.sock', db: 2 }],
    [
      'redis://a:1,b',
      {
        kind: 'cluster',
        nodes: [
          { host: 'a', port: 1 },
          { host: 'b', port: 6379 },
        ],
        tls: false,
      },
    ],
    [
      'redis+sentinel://:p@a,b:2/main/1',
      {
        kind: 'sentinel',
        sentinels: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 2 },
        ],
        master: 'main',
        db: 1,
        password: 'p',
      },
    ],
  ])('%s', (url, address) => {
    expect(parseRedisAddress(url)).toEqual(address);
  });

  test.each(
    [
      ['', 'h:6379', 'http://h', 'redis://', 'redis://h/x', 'redis://h/0/1', 'redis://h:port'],
      ['redis://a,b/1', 'redis+unix://relative.sock', 'redis+sentinel://h', 'redis://%zz@h'],
    ].flat(),
  )('%j is refused with the forms that are known', (url) => {
    expect(() => parseRedisAddress(url)).toThrow(/is no Redis URL; use one of redis:\/\//);
  });

  test('is shown without its password', () => {
    expect(withoutPassword('redis+sentinel://u:s3cret@a,b/main')).toBe('redis+sentinel://u:***@a,b/main');
    expect(() => parseRedisAddress('redis://u:s3cret@h/x')).toThrow(/^(?!.*s3cret)/s);
  });
});

describe('connecting', () => {
  const redis = useRedis();

  test('gives one prefix for every key, and named connections that end with the handle', async () => {
    const handle = await connectRedis({ url: redis.url(), prefix: 'word' });
    expect(handle.prefix).toBe('{word}:');
    const duplicate = handle.duplicate('reader');
    await duplicate.ping();
    expect(await handle.client.client('LIST')).toMatch(/name=cofferdam:client[^]*name=cofferdam:reader/);
    await handle.close();
    await expect(duplicate.ping()).rejects.toThrow('Connection is closed');
  });

  test('a server that is not there is named, without its password, with the remedy', async () => {
    const url = 'redis://user:s3cret@127.0.0.1:1';
    await expect(connectRedis({ url, prefix: 'x' })).rejects.toMatchObject({
      kind: 'unreachable',
      message:
        'cannot reach Redis at redis://user:***@127.0.0.1:1: connect ECONNREFUSED 127.0.0.1:1. ' +
        'Start it, or correct COFFERDAM_REDIS_URL.',
    });
  });

  test('a command that cannot be answered rejects; on a duplicate it waits for the server', async () => {
    const own = await startRedis();
    onTestFinished(() => own.stop());
    const handle = await own.connect();
    const waiting = handle.duplicate('waiting');
    await waiting.ping();
    await own.kill();
    const answer = waiting.ping();
    await expect(handle.client.ping()).rejects.toThrow('Command timed out');
    await own.restart();
    expect(await answer).toBe('PONG');
    expect(await handle.client.ping()).toBe('PONG');
  });

  test.each([
    [['--maxmemory-policy', 'allkeys-lru'], 'may throw builds away .*maxmemory-policy to noeviction'],
    [['--replicaof', '127.0.0.1 1'], 'is a read-only replica. Use its master \\(127.0.0.1:1\\)'],
  ])('a server with %s is refused', async (args, message) => {
    const own = await startRedis(args);
    onTestFinished(() => own.stop());
    await expect(own.connect()).rejects.toMatchObject({
      kind: 'unfit',
      message: expect.stringMatching(message),
    });
  });

  test.each([
    ['without the password that it wants', '', 'wants a password. Write it in COFFERDAM_REDIS_URL'],
    [
      'with a wrong password',
      ':wrong@',
      'knows no such user and password. Correct those in COFFERDAM_REDIS_URL',
    ],
  ])('%s one is let in by no server, and told so', async (_, login, message) => {
    const port = await freePort();
    const more = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1'];
    const own = await startRedis(['--requirepass', 's3cret', '--port', `${port}`, ...more]);
    onTestFinished(() => own.stop());
    const servers = [`127.0.0.1:${port}`, `127.0.0.1:${port},127.0.0.1:${port}`];
    for (const server of servers) {
      await expect(connectRedis({ url: `redis://${login}${server}`, prefix: 'x' })).rejects.toMatchObject({
        kind: 'refused',
        message: expect.stringContaining(`${server} ${message}`),
      });
    }
  });

  test('a server that takes no more clients is told apart from one that is away', async () => {
    const own = await startRedis(['--maxclients', '1']);
    onTestFinished(() => own.stop());
    const first = await own.connect();
    await expect(connectRedis({ url: own.url, prefix: 'x' })).rejects.toMatchObject({
      kind: 'refused',
      message: `the Redis at ${own.url} has as many clients as it takes. Raise maxclients in redis.conf, or end some.`,
    });
    expect(await first.client.ping()).toBe('PONG');
  });

  const [address] = Object.values(networkInterfaces())
    .flatMap((each = []) => each)
    .filter(({ internal, family }) => !internal && family === 'IPv4');
  test.skipIf(!address)('a server in protected mode is named, with the remedy', async () => {
    const port = await freePort();
    const own = await startRedis(['--port', `${port}`, '--bind', '0.0.0.0']);
    onTestFinished(() => own.stop());
    const url = `redis://${address?.address}:${port}`;
    await expect(connectRedis({ url, prefix: 'x' })).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(
        `^the Redis at ${url} is in protected mode: .* Give it one \\(requirepass`,
      ),
    });
  });

  test('a Cluster takes the same keys and scripts', async () => {
    const port = await freePort();
    const announced = ['--cluster-announce-ip', '127.0.0.1'];
    const own = await startRedis(['--port', `${port}`, '--cluster-enabled', 'yes', ...announced]);
    onTestFinished(() => own.stop());
    const single = await own.connect();
    await single.client.cluster('ADDSLOTSRANGE', 0, 16_383);
    while (!(await single.client.cluster('INFO')).includes('cluster_state:ok')) await sleep(20);

    const handle = await connectRedis({ url: `redis://127.0.0.1:${port},127.0.0.1:${port}`, prefix: 'word' });
    onTestFinished(() => handle.close());
    const script = createScript("redis.call('SET', KEYS[1], ARGV[1]); return redis.call('GET', KEYS[2])");
    const keys = [`${handle.prefix}a`, `${handle.prefix}a`];
    expect(await script.run(handle.client, keys, ['value'])).toBe('value');
    const duplicate = handle.duplicate('reader');
    expect(await duplicate.get(`${handle.prefix}a`)).toBe('value');
  });
});

test('a script also runs on a server that has forgotten it', async () => {
  const own = await startRedis();
  onTestFinished(() => own.stop());
  const { client } = await own.connect();
  const script = createScript('return ARGV[1]');
  expect(await script.run(client, [], ['1'])).toBe('1');
  await client.script('FLUSH');
  expect(await script.run(client, [], ['2'])).toBe('2');
  await expect(createScript('nonsense').run(client, [], [])).rejects.toThrow('Error compiling script');
});

describe('the embedded server', () => {
  const made: string[] = [];
  const servers: ReturnType<typeof start>[] = [];
  /** Remembers what it starts: a test that fails leaves a server that nothing else would end. */
  const remember: typeof start = (command, options) => {
    const server = start(command, options);
    servers.push(server);
    return server;
  };
  afterAll(() => {
    for (const server of servers) server.kill('SIGKILL');
    for (const directory of made) rmSync(directory, { recursive: true });
  });

  async function embedded(): Promise<{
    directory: string;
    connect: () => Promise<RedisHandle & { pid: number }>;
  }> {
    const directory = mkdtempSync(join(tmpdir(), 'cofferdam embedded '));
    made.push(directory);
    return {
      directory,
      connect: async () => {
        const server = await startEmbeddedRedis(directory, remember);
        const handle = await connectRedis({ url: server.url, prefix: 'x' });
        const pid = Number(/process_id:(\d+)/.exec(await handle.client.info('server'))?.[1]);
        return { ...handle, pid };
      },
    };
  }

  test('only its owner reaches; it syncs every second, never evicts, and lives in a session of its own', async () => {
    const { directory, connect } = await embedded();
    const redis = await connect();
    expect(statSync(join(directory, 'redis.sock')).mode & 0o777).toBe(0o700);
    expect(await redis.client.config('GET', 'append*')).toEqual(
      expect.arrayContaining(['appendonly', 'yes', 'appendfsync', 'everysec']),
    );
    expect(await redis.client.config('GET', 'port')).toEqual(['port', '0']);
    const session = readFileSync(`/proc/${redis.pid}/stat`, 'utf8').split(') ')[1]?.split(' ')[3];
    expect(session).toBe(`${redis.pid}`);
    await redis.close();
    await (await startEmbeddedRedis(directory, remember)).stop();
  });

  test('is reused while it lives, also by many at once, and replaced when only its socket is left', async () => {
    const { directory, connect } = await embedded();
    const first = await Promise.all([connect(), connect(), connect()]);
    const pids = new Set(first.map(({ pid }) => pid));
    expect(pids.size).toBe(1);
    for (const each of first) await each.close();
    for (const pid of pids) process.kill(pid, 'SIGKILL');
    expect(existsSync(join(directory, 'redis.sock'))).toBe(true);
    const second = await connect();
    expect(pids).not.toContain(second.pid);
    await second.close();
    await (await startEmbeddedRedis(directory, remember)).stop();
    await expect.poll(() => existsSync(`/proc/${second.pid}`)).toBe(false);
  });

  test('stop() keeps everything, and may be called on a server that is gone', async () => {
    const { directory, connect } = await embedded();
    const redis = await connect();
    await redis.client.set('key', 'value');
    await redis.close();
    const server = await startEmbeddedRedis(directory, remember);
    await server.stop();
    await server.stop();
    const again = await connect();
    expect(await again.client.get('key')).toBe('value');
    await again.close();
    await (await startEmbeddedRedis(directory, remember)).stop();
  });

  test('kill -9 right after an acknowledged write loses nothing, twenty times', async () => {
    const { directory, connect } = await embedded();
    for (let round = 0; round < 20; round++) {
      const redis = await connect();
      expect(await redis.client.get('acknowledged')).toBe(round === 0 ? null : `${round - 1}`);
      await redis.client.set('acknowledged', round);
      process.kill(redis.pid, 'SIGKILL');
      await redis.close();
    }
    await (await startEmbeddedRedis(directory, remember)).stop();
  });

  test('a damaged append-only file is shown, not replaced', async () => {
    const { directory, connect } = await embedded();
    const redis = await connect();
    await redis.client.set('key', 'value'.repeat(100));
    await redis.close();
    await (await startEmbeddedRedis(directory, remember)).stop();
    const file = join(directory, 'appendonlydir', 'appendonly.aof.1.incr.aof');
    writeFileSync(file, readFileSync(file, 'latin1').replace('*3', '#3'), 'latin1');
    await expect(connect()).rejects.toMatchObject({
      kind: 'broken',
      message: expect.stringMatching(/does not start: exit code 1[^]*redis-check-aof --fix/),
    });
  });

  test.each([
    ['/usr/bin/flock', 'apt-get install redis-server'],
    ['/usr/bin/env', 'cannot start flock (package util-linux)'],
  ])('with %s and no other program it says what to install', async (program, remedy) => {
    const { directory } = await embedded();
    const env = { PATH: binWith(directory, program) };
    const bare: typeof start = (command, options) => start({ ...command, env }, options);
    await expect(startEmbeddedRedis(directory, bare)).rejects.toMatchObject({
      kind: 'missing',
      message: expect.stringContaining(remedy),
    });
  });

  test('a directory whose socket would have too long a name is refused', async () => {
    await expect(startEmbeddedRedis(`/tmp/${'x'.repeat(100)}`, start)).rejects.toMatchObject({
      kind: 'address',
      message: expect.stringContaining('shorter COFFERDAM_DATA'),
    });
  });
});

/** A directory for PATH with one program in it. */
function binWith(directory: string, program: string): string {
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  symlinkSync(program, join(bin, basename(program)));
  return bin;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const address = server.address();
      if (address && typeof address === 'object') resolve(address.port);
    });
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}
