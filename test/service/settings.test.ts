import { readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { startRedis } from '../redis.ts';
import { createSite } from './site.ts';

test('repositories and secrets outlive a Redis that lost everything, but not the key', async () => {
  await using site = await createSite();
  const up = await site.up();
  const key = join(site.dataDir, 'secret.key');
  const log = () => readFileSync(join(site.dataDir, 'log/cofferdam.log'), 'utf8');
  expect(log()).toContain('made the key of the secrets; back it up');
  await site.command('repo', 'add', 'https://git.example.org/acme/app', '--forge', 'gitea');
  const before = (await site.command('repo', 'show', 'acme/app')).stdout;
  expect(before).toMatch(/^secret +set$/m);
  up.process.kill('SIGTERM');
  await up.ended;
  rmSync(join(site.dataDir, 'redis'), { recursive: true });
  rmSync(join(site.dataDir, 'token'));

  const again = await site.up();
  expect((await site.command('repo', 'show', 'acme/app')).stdout).toBe(before);
  again.process.kill('SIGTERM');
  await again.ended;

  renameSync(key, `${key}.lost`);
  const redis = await startRedis();
  try {
    const keyless = await site.start(['serve'], { COFFERDAM_REDIS_URL: redis.url }).ended;
    expect(keyless).toMatchObject({
      code: 3,
      stderr: expect.stringContaining(`${key}: it is not there; copy it there from a backup`),
    });
  } finally {
    await redis.stop();
  }
}, 120_000);
