import { connectRedis } from '../../../src/redis.ts';
import { openQueue } from '../../../src/queue.ts';
import { groupOf } from '../../../src/queue/turn.ts';
import { openRecords } from '../../../src/records.ts';
import { openStorage } from '../../../src/storage/storage.ts';
import { aborted, quick, verdict } from './service.ts';

/**
 * A worker of its own process, to be killed and stopped. Arguments: Redis URL, prefix, storage URL, worker id. A build
 * ends when RUN_MS of its environment are over, once it has its turn in the group TURN; it is stubborn, and reports progress also when it has been lost. Says
 * what happens on stdout: `ready`, `claimed ID ATTEMPT`, `waits ID`, `turn ID`, `lost ID ATTEMPT REPLY`.
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
    const { RUN_MS = '0', TURN } = claim.spec.environment;
    if (TURN !== undefined) {
      const wanted = [{ workflow: 'ship', ...groupOf(TURN, 'trusted'), limit: 1, first: false }];
      const announced = await claim.announce({ wanted, others: 'begin' }, claim.lost);
      if (announced.kind === 'aside') throw new Error('a build with other workflows was put aside');
      await announced.turns.take('ship', claim.lost, () => console.log(`waits ${build}`));
      console.log(`turn ${build}`);
    }
    const run = new Promise((resolve) => setTimeout(resolve, Number(RUN_MS)));
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
