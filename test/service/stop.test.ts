import { expect, test } from 'vitest';
import { startRedis } from '../redis.ts';
import { createSite, until } from './site.ts';

test('a worker gives builds back after its drain time, and cancels them when it is told twice', async () => {
  const redis = await startRedis();
  try {
    await using site = await createSite();
    const env = { COFFERDAM_REDIS_URL: redis.url };
    const serve = site.start(['serve'], env);
    await until('an API', async () => serve.output.stdout.includes('"listening"') || undefined);
    const dir = site.project('slow', ['echo begun', 'sleep 60']);
    const id = (await site.command('submit', dir)).stdout.trim();
    const begun = (attempt: number) =>
      until(`attempt ${attempt}`, async () => {
        const build = await site.show(id);
        const log = await site.get(`/v1/builds/${id}/logs`);
        return (build.attempt === attempt && log.includes('begun\n')) || undefined;
      });

    const first = site.start(['worker', '--id', 'first', '--drain', '1s'], env);
    await begun(1);
    first.process.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 0 });
    expect(await site.show(id)).toMatchObject({ status: 'queued' });

    const second = site.start(['worker', '--id', 'second', '--drain', '10m'], env);
    await begun(2);
    second.process.kill('SIGTERM');
    await until(
      'no more slots',
      async () => JSON.parse(await site.get('/v1/workers')).workers[0].slots === 0,
    );
    expect((await site.show(id)).status).toBe('running');
    second.process.kill('SIGTERM');
    expect(await second.ended).toMatchObject({ code: 0 });
    const canceled = await site.show(id);
    expect(canceled).toMatchObject({
      status: 'canceled',
      reason: 'canceled',
      attempt: 2,
      attempts: [{ worker: 'first' }, { worker: 'second', status: 'canceled' }],
    });
    expect(canceled.message).toContain('its worker was told to stop at once');
    expect(canceled.attempts?.[0]?.status).toBeUndefined();
    expect(await site.get(`/v1/builds/${id}/logs`)).toContain('begun\n');
  } finally {
    await redis.stop();
  }
}, 60_000);
