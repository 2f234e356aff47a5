import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ConfigError, loadAccess, loadConfig } from '../../src/config.ts';

const load = (env: NodeJS.ProcessEnv) => loadConfig({ COFFERDAM_DATA: '/data', ...env }, 0);

describe('loadConfig', () => {
  test('needs nothing', () => {
    expect(load({})).toEqual({
      dataDir: '/data',
      logLevel: 'warn',
      listen: { host: '127.0.0.1', port: 8080 },
      redisUrl: undefined,
      redisCaFile: undefined,
      secretKeyFile: '/data/secret.key',
      publicUrl: undefined,
      redisPrefix: 'cofferdam',
      store: 'file:/data/archive',
      uploadMaxBytes: 2 * 1024 ** 3,
      cacheMaxBytes: 20 * 1024 ** 3,
      rateLimit: 12_000,
      projectConcurrency: undefined,
      keep: { buildsMs: undefined, uploadsMs: 30 * 24 * 3_600_000 },
      worker: { labels: {}, cpus: undefined, memoryBytes: undefined },
      egressExceptions: [],
    });
  });

  test.each([
    ['COFFERDAM_LISTEN', '0.0.0.0:80', { listen: { host: '0.0.0.0', port: 80 } }],
    ['COFFERDAM_LISTEN', '[::1]:8080', { listen: { host: '::1', port: 8080 } }],
    ['COFFERDAM_LISTEN', '', { listen: { host: '127.0.0.1', port: 8080 } }],
    ['COFFERDAM_REDIS_URL', 'redis://db:6379', { redisUrl: 'redis://db:6379' }],
    ['COFFERDAM_SECRET_KEY_FILE', '/run/secrets/key', { secretKeyFile: '/run/secrets/key' }],
    ['COFFERDAM_PUBLIC_URL', 'https://CI.example.org/', { publicUrl: 'https://ci.example.org' }],
    ['COFFERDAM_PUBLIC_URL', 'http://ci:80/cofferdam', { publicUrl: 'http://ci/cofferdam' }],
    ['COFFERDAM_REDIS_CA', '/ca.pem', { redisCaFile: '/ca.pem' }],
    ['COFFERDAM_REDIS_PREFIX', 'ci-2', { redisPrefix: 'ci-2' }],
    ['COFFERDAM_STORE', 's3://bucket/ci?region=x', { store: 's3://bucket/ci?region=x' }],
    ['COFFERDAM_UPLOAD_MAX', '1.5GiB', { uploadMaxBytes: 1.5 * 1024 ** 3 }],
    ['COFFERDAM_CACHE_MAX', '50GiB', { cacheMaxBytes: 50 * 1024 ** 3 }],
    ['COFFERDAM_RATE_LIMIT', '60', { rateLimit: 60 }],
    ['COFFERDAM_KEEP_BUILDS', '90d', { keep: { buildsMs: 90 * 24 * 3_600_000 } }],
    ['COFFERDAM_KEEP_UPLOADS', '12h', { keep: { uploadsMs: 12 * 3_600_000 } }],
    ['COFFERDAM_PROJECT_CONCURRENCY', '4', { projectConcurrency: 4 }],
    ['COFFERDAM_WORKER_LABELS', 'arch=arm64, kvm=yes', { worker: { labels: { arch: 'arm64', kvm: 'yes' } } }],
    ['COFFERDAM_WORKER_CPUS', '1.5', { worker: { cpus: 1.5 } }],
    ['COFFERDAM_WORKER_MEMORY', '8GiB', { worker: { memoryBytes: 8 * 1024 ** 3 } }],
    [
      'COFFERDAM_EGRESS_ALLOW',
      '10.0.0.0/8:443',
      { egressExceptions: [{ network: '10.0.0.0/8', port: 443 }] },
    ],
  ])('%s=%s', (name, text, expected) => {
    expect(load({ [name]: text })).toMatchObject(expected);
  });

  test.each([
    ['COFFERDAM_LOG_LEVEL', 'loud'],
    ['COFFERDAM_LISTEN', '8080'],
    ['COFFERDAM_LISTEN', 'host:65536'],
    ['COFFERDAM_LISTEN', '::1:80'],
    ['COFFERDAM_PUBLIC_URL', 'ci.example.org'],
    ['COFFERDAM_PUBLIC_URL', 'https://user@ci.example.org'],
    ['COFFERDAM_PUBLIC_URL', 'https://ci.example.org/?a=b'],
    ['COFFERDAM_REDIS_PREFIX', 'a{b}'],
    ['COFFERDAM_STORE', '/archive'],
    ['COFFERDAM_UPLOAD_MAX', '2 gigs'],
    ['COFFERDAM_RATE_LIMIT', '0'],
    ['COFFERDAM_PROJECT_CONCURRENCY', '-1'],
    ['COFFERDAM_KEEP_BUILDS', '0d'],
    ['COFFERDAM_KEEP_UPLOADS', '30'],
    ['COFFERDAM_WORKER_LABELS', 'arm64'],
    ['COFFERDAM_WORKER_CPUS', '0'],
    ['COFFERDAM_EGRESS_ALLOW', 'mirror.internal'],
  ])('%s=%s is refused by name', (name, text) => {
    expect(() => load({ [name]: text })).toThrow(ConfigError);
    expect(() => load({ [name]: text })).toThrow(`${name} is '${text}'; use `);
  });
});

describe('the data directory', () => {
  const home = join(homedir(), '.local/state/cofferdam');
  test.each<readonly [NodeJS.ProcessEnv, uid: number, directory: string]>([
    [{}, 0, '/var/lib/cofferdam'],
    [{ XDG_STATE_HOME: '/state' }, 0, '/var/lib/cofferdam'],
    [{}, 1000, home],
    [{ XDG_STATE_HOME: '/state' }, 1000, '/state/cofferdam'],
    [{ XDG_STATE_HOME: 'relative' }, 1000, home],
    [{ XDG_STATE_HOME: '' }, 1000, home],
    [{ COFFERDAM_DATA: '/data/' }, 1000, '/data'],
    [{ COFFERDAM_DATA: 'data' }, 0, resolve('data')],
    [{ COFFERDAM_DATA: '' }, 0, '/var/lib/cofferdam'],
  ])('%j of user %i: %s', (env, uid, directory) => {
    expect(loadConfig(env, uid).dataDir).toBe(directory);
  });
});

describe('loadAccess', () => {
  test('takes what up left, and the environment before it', () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'cofferdam-config-'));
    try {
      expect(loadAccess({ dataDir }, {})).toEqual({ url: undefined, token: undefined });
      mkdirSync(join(dataDir, 'run'));
      writeFileSync(join(dataDir, 'run', 'url'), 'http://127.0.0.1:8080\n');
      writeFileSync(join(dataDir, 'token'), 'cof_file\n');
      expect(loadAccess({ dataDir }, {})).toEqual({ url: 'http://127.0.0.1:8080', token: 'cof_file' });
      expect(loadAccess({ dataDir }, { COFFERDAM_URL: 'http://ci', COFFERDAM_TOKEN: 'cof_env' })).toEqual({
        url: 'http://ci',
        token: 'cof_env',
      });
    } finally {
      rmSync(dataDir, { recursive: true });
    }
  });
});
