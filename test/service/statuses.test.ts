import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openQueue } from '../../src/queue.ts';
import { openRecords } from '../../src/records.ts';
import { connectRedis } from '../../src/redis.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { startRedis } from '../redis.ts';
import { verdict } from '../src/queue/service.ts';
import { startForge } from '../src/statuses/forge-server.ts';
import { githubPush, signed } from '../src/triggers/samples.ts';
import { createSite, until } from './site.ts';

test('the verdict reaches the forge although the API is killed before it is there', async () => {
  const redis = await startRedis();
  const forge = await startForge('github');
  const handle = await connectRedis({ url: redis.url, prefix: 'cofferdam' });
  try {
    await using site = await createSite();
    const records = openRecords(handle, openStorage(`file:${join(site.dataDir, 'archive')}`));
    const queue = openQueue(handle, records);
    const serve = async () => {
      const running = site.start(['serve'], {
        COFFERDAM_REDIS_URL: redis.url,
        COFFERDAM_PUBLIC_URL: 'https://ci.example',
      });
      await until('an API', async () => running.output.stdout.includes('"listening"') || undefined);
      return running;
    };
    const first = await serve();
    const post = async (path: string, headers: Record<string, string>, body: string) => {
      const response = await fetch(`${site.url}${path}`, { method: 'POST', headers, body });
      expect(response.status, await response.clone().text()).toBeLessThan(300);
    };
    const token = readFileSync(join(site.dataDir, 'token'), 'utf8').trim();
    await post(
      '/v1/repos',
      { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      JSON.stringify({
        name: 'acme/tool',
        url: 'https://forge.example/acme/tool.git',
        forge: 'github',
        apiUrl: forge.url,
        forgeToken: 'right',
        webhookSecret: 'the-secret-of-the-webhook',
      }),
    );
    const payload = githubPush({ repository: { full_name: 'acme/tool' } });
    const { headers, body } = signed('github', payload, 'the-secret-of-the-webhook', { id: 'one' });
    const plain = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
    await post('/v1/hooks/github/acme/tool', plain, body.toString());
    await until('a first status', async () => forge.taken.length === 1 || undefined);
    // Otherwise its lease would have to run out.
    await until('its receipt', async () => (await queue.stats()).reports === 0 || undefined);
    first.process.kill('SIGKILL');
    await first.ended;

    // The build runs and ends while nobody can tell.
    const consumer = queue.consume(
      { id: 'w', host: 'here', version: '1', labels: {}, slots: 1 },
      async (claim) => verdict(claim),
    );
    await until('the end of the build', async () => {
      const { builds } = await records.list({ status: 'passed' }, { limit: 1 });
      return builds[0];
    });
    await consumer.close();
    await queue.close();
    records.close();
    expect(forge.taken.map(({ state }) => state)).toEqual(['pending']);

    await serve();
    await until('the verdict', async () => forge.taken.at(-1)?.state === 'success' || undefined);
    expect(forge.taken.map(({ state }) => state)).toEqual(['pending', 'success']);
    expect(forge.taken.at(-1)).toMatchObject({
      context: 'cofferdam/push',
      url: expect.stringMatching(/^https:\/\/ci\.example\/v1\/builds\/\w{26}\/logs$/),
    });
  } finally {
    await handle.close();
    await forge.close();
    await redis.stop();
  }
}, 60_000);
