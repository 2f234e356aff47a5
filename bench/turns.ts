import { setTimeout as sleep } from 'node:timers/promises';

/** The kernel takes network namespaces and cgroups apart after they are gone for us; nobody else pays for that. */
const defaultRestMs = 20;

/**
 * Lets each task run once, one after another, and that again for each round, so that the drift of a shared machine
 * hits all of them alike. A rest comes before each. The first rounds, which warm caches, are not in the result.
 * Rejects with the reason of `stop` when that is aborted.
 * @returns for each task its results, one a round
 */
export async function takeTurns<T>(
  stop: AbortSignal,
  rounds: number,
  tasks: readonly (() => Promise<T>)[],
  { warmUp = 1, restMs = defaultRestMs }: { readonly warmUp?: number; readonly restMs?: number } = {},
): Promise<T[][]> {
  const results = tasks.map((): T[] => []);
  for (let round = -warmUp; round < rounds; round++) {
    for (const [i, task] of tasks.entries()) {
      await sleep(restMs, undefined, { signal: stop });
      const result = await task();
      if (round >= 0) results[i]?.push(result);
    }
  }
  return results;
}

/** Runs the task `count` times, `width` at a time, and waits for all. Rejects as takeTurns() does. */
export async function inParallel(
  stop: AbortSignal,
  width: number,
  count: number,
  task: (index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  const lane = async () => {
    try {
      while (next < count) {
        stop.throwIfAborted();
        await task(next++);
      }
    } finally {
      // Nothing begins after a failure.
      next = count;
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: width }, lane));
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
}
