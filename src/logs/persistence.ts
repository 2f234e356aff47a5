import { setTimeout as sleep } from 'node:timers/promises';
import { LogStoreError } from '../logs.ts';

/** How often a storage may refuse before the build is given up: 3 s in all. */
const storageDelaysMs = [100, 200, 400, 800, 1_500];

/** Repeats something idempotent on storage. Throws LogStoreError, or the reason of the signal. */
export async function persistently<Result>(
  signal: AbortSignal,
  what: string,
  work: () => Promise<Result>,
): Promise<Result> {
  for (const delay of storageDelaysMs) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch {
      await sleep(delay, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
  try {
    return await work();
  } catch (error) {
    const told = error instanceof Error ? error.message : String(error);
    throw new LogStoreError(`cannot store ${what}: ${told}`, { cause: error });
  }
}

/** Replies that go away by themselves, or when an operator helps (Redis, "Error replies" of the commands). */
const passing = /^(LOADING|BUSY|READONLY|OOM|MISCONF|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN|UNBLOCKED)\b/;

/**
 * Repeats something idempotent on Redis for as long as Redis is away or cannot. Throws LogStoreError for replies that
 * would never change, or the reason of the signal.
 */
export async function whileRedisIsAway<Result>(
  signal: AbortSignal,
  what: string,
  work: () => Promise<Result>,
): Promise<Result> {
  for (;;) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (error instanceof Error && error.name === 'ReplyError' && !passing.test(error.message)) {
        throw new LogStoreError(`cannot store ${what}: ${error.message}`, { cause: error });
      }
      await sleep(100, undefined, { signal }).catch(() => signal.throwIfAborted());
    }
  }
}
