import { connectRedis } from '../../../src/redis.ts';
import { openQueue } from '../../../src/queue.ts';
import { openRecords } from '../../../src/records.ts';
import { openStorage } from '../../../src/storage/storage.ts';
import { aborted, quick, verdict } from './service.ts';

/**
 * A worker of its own process, to be killed and stopped. Arguments: Redis URL, prefix, storage URL, worker id. A build
 * ends when RUN_MS of its environment are over; it is stubborn, and reports progress also when it has been lost. Says
 * what happens on stdout: `ready`, `claimed ID ATTEMPT`, `lost ID ATTEMPT REPLY`.
 */
export const workerScript = import.meta.filename;

if (process.argv[1] === workerScript) await main(process.argv.slice(2));

async function main([url = '', prefix = '', store = '', id = '']: readonly string[]): Promise<void> {
  const redis = await connectRedis({ url, prefix });
  const records = openRecords(redis, openStorage(store));
  const queue = openQueue(redis, records, { timing: quick });
  queue.consume({ id, host: 'here', version: '1', labels: {}, slots: 1 }, async (claim) => {
    const { id: build, attempt } = claim.fence;
    console.log(`claimed ${build} ${attempt}`);
    const run = new Promise((resolve) => setTimeout(resolve, Number(claim.spec.environment['RUN_MS'] ?? 0)));
    await Promise.race([run, aborted(claim.lost)]);
    if (claim.lost.aborted) {
      const reply = await records.progress(claim.fence, {
        ...claim.record,
        message: 'written by a stale attempt',
      });
      console.log(`lost ${build} ${attempt} ${reply}`);
    }
    return verdict(claim, 'passed', { message: `by ${id}` });
  });
  console.log('ready');
}
