import { Queue } from 'bullmq';
import { expect, test } from 'vitest';
import { connectRedis } from '../../src/redis.ts';
import { startRedis } from '../redis.ts';
import { createSite, until } from './site.ts';

test('cron jobs outlive the loss of their schedulers; what was missed is made up for by one of two processes', async () => {
  await using stack = new AsyncDisposableStack();
  const redis = stack.adopt(await startRedis(), (each) => each.stop());
  const site = stack.use(await createSite());
  const env = { COFFERDAM_REDIS_URL: redis.url };
  const serve = async (more: NodeJS.ProcessEnv = {}) => {
    const running = site.start(['serve'], { ...env, ...more });
    await until('the API', async () => running.output.stdout.includes('"listening"') || undefined);
    return running;
  };
  const handle = stack.adopt(await connectRedis({ url: redis.url, prefix: 'cofferdam' }), (each) =>
    each.close(),
  );
  const bull = stack.adopt(
    new Queue('crons', { connection: handle.duplicate('test'), prefix: '{cofferdam}:bull' }),
    (each) => each.close(),
  );
  const schedulers = async () => (await bull.getJobSchedulers(0, -1)).map(({ key }) => key);

  const first = await serve();
  await site.command('repo', 'add', 'https://git.example.org/acme/app', '--forge', 'gitea');
  const due = new Date(Math.floor(Date.now() / 60_000 - 20) * 60_000);
  const schedule = `${due.getUTCMinutes()} ${due.getUTCHours()} * * *`;
  const added = await site.command('repo', 'cron', 'add', 'acme/app', 'daily', '--schedule', schedule);
  expect([added.code, added.stderr]).toEqual([0, '']);
  expect(await schedulers()).toEqual(['acme/app/daily']);
  first.process.kill('SIGKILL');
  await first.ended;

  await bull.obliterate({ force: true });
  expect(await schedulers()).toEqual([]);
  await bull.add('cron', {}, { jobId: `repeat:acme/app/daily:${due.getTime()}`, removeOnComplete: true });

  const both = [await serve(), await serve({ COFFERDAM_LISTEN: '127.0.0.1:0' })];
  await until('a build', async () =>
    (await site.command('ls')).stdout.includes('acme/app') ? true : undefined,
  );
  await until('a scheduler', async () => ((await schedulers()).length > 0 ? true : undefined));
  const { builds }: { builds: { trigger: object }[] } = JSON.parse(await site.get('/v1/builds'));
  expect(builds.map(({ trigger }) => trigger)).toEqual([
    { kind: 'cron', name: 'daily', branch: 'main', at: due.toISOString() },
  ]);
  for (const running of both) running.process.kill('SIGTERM');
  for (const running of both) expect((await running.ended).code).toBe(0);
}, 120_000);
