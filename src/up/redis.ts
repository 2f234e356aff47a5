import { setTimeout as sleep } from 'node:timers/promises';
import { type StartProcess, startEmbeddedRedis } from '../redis/embedded.ts';
import type { RedisHandle } from '../redis.ts';
import type { Journal } from './journal.ts';

const firstDelayMs = 200;
const longestDelayMs = 10_000;

/**
 * Starts the embedded Redis again whenever it is gone, until `signal` is aborted. What was acknowledged is in its
 * append-only file: a server that was killed comes back with it.
 */
export function keepRedis(
  { client }: RedisHandle,
  {
    directory,
    start,
    journal,
    signal,
  }: {
    readonly directory: string;
    readonly start: StartProcess;
    readonly journal: Journal;
    readonly signal: AbortSignal;
  },
): void {
  let starting = false;
  const restart = async () => {
    if (starting) return;
    starting = true;
    journal.error('redis is gone; starting it again');
    for (let delayMs = firstDelayMs; !signal.aborted; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
      try {
        await startEmbeddedRedis(directory, start);
        break;
      } catch (error) {
        journal.error(`redis does not start: ${error instanceof Error ? error.message : String(error)}`);
        await sleep(delayMs);
      }
    }
    starting = false;
  };
  const gone = () => void restart();
  client.on('close', gone);
  signal.addEventListener('abort', () => client.off('close', gone), { once: true });
}
