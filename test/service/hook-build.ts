import { ulid } from 'ulid';
import { loadConfig } from '../../src/config.ts';
import { openQueue } from '../../src/queue.ts';
import { openRecords } from '../../src/records.ts';
import { connectRedis } from '../../src/redis.ts';
import type { BuildSpec } from '../../src/spec.ts';
import { openStorage } from '../../src/storage/storage.ts';
import { redisUrlOf } from '../../src/up/place.ts';
import { type Site, until } from './site.ts';

/** What a build of the repository team/app comes to that a delivery was taken for, as the API and its log show it. */
export async function hookBuild(site: Site, trust: BuildSpec['trust'], workflow: string) {
  const config = loadConfig({ COFFERDAM_DATA: site.dataDir });
  const redis = await connectRedis({ url: redisUrlOf(config), prefix: config.redisPrefix });
  const records = openRecords(redis, openStorage(config.store));
  const queue = openQueue(redis, records);
  const spec: BuildSpec = {
    id: ulid(),
    project: 'team/app',
    source: { kind: 'none' },
    workflow,
    environment: { MINE: 'of whoever asked' },
    priority: 5,
    labels: {},
    requestedBy: 'hook:team/app',
    trigger: { kind: 'push', branch: 'main' },
    trust,
  };
  await queue.submit(spec);
  const shown = await until('an end', async () => {
    const found = await site.show(spec.id);
    return found.finishedAt === undefined ? undefined : found;
  });
  await queue.close();
  records.close();
  await redis.close();
  const { stdout: log } = await site.command('logs', spec.id, '--raw');
  return { shown, log };
}
