import { pino } from 'pino';
import { openQueue } from '../../../src/queue.ts';
import { openRecords } from '../../../src/records.ts';
import { connectRedis } from '../../../src/redis.ts';
import { openStatuses } from '../../../src/statuses.ts';
import { openStorage } from '../../../src/storage/storage.ts';
import { forgeOf } from '../../../src/triggers/forges.ts';
import { quick } from '../queue/service.ts';
import { quickPace, repositoryAt } from './site.ts';

/** What tells forges, as a process of its own, to be killed. Arguments: Redis URL, prefix, storage URL, forge's URL. */
export const tellerScript = import.meta.filename;

if (process.argv[1] === tellerScript) await main(process.argv.slice(2));

async function main([url = '', prefix = '', store = '', forge = '']: readonly string[]): Promise<void> {
  const redis = await connectRedis({ url, prefix });
  const records = openRecords(redis, openStorage(store));
  const queue = openQueue(redis, records, { timing: quick });
  const statuses = openStatuses({
    queue,
    records,
    repositories: {
      get: (name) => Promise.resolve(repositoryAt('gitlab', forge, name)),
      keys: () => Promise.resolve({ webhookSecrets: [], forgeToken: 'right' }),
    },
    forgeOf,
    logger: pino(),
    pace: quickPace,
  });
  statuses.start('https://ci.example');
}
