import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'bullmq';

const patienceMs = 3_000;

/**
 * Ends BullMQ's side of a worker. In order, it waits for its last command, which a Redis that died meanwhile may have
 * taken along: then its connections are cut after three seconds.
 */
export async function closeBull(bull: Worker, how: 'in-order' | 'at-once'): Promise<void> {
  const patience = new AbortController();
  const late = sleep(patienceMs, 'late', { signal: patience.signal }).catch(() => {});
  const closed = bull.close(how === 'at-once');
  if ((await Promise.race([closed, late])) === 'late') bull.disconnect().catch(() => {});
  patience.abort();
}
