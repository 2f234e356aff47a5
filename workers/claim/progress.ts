import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildRecord } from '../../src/build.ts';

/** Tells others how a build gets on, without making it wait. */
export interface Progress {
  /** The first state at once, of those that follow closely the newest. */
  report(record: BuildRecord): void;
  /** The verdict comes instead of what is not told yet. */
  stop(): void;
}

/** Nobody looks more often. */
const restMs = 25;

/** After it could not be told. */
const patienceMs = 250;

/**
 * @param write tells. What it cannot is told again, unless something newer is: the next change may be an hour away, and
 * later builds that need a turn wait until they know what this one wants (src/queue/lua/turns.ts)
 */
export function createProgress(write: (record: BuildRecord) => Promise<unknown>): Progress {
  let next: BuildRecord | undefined;
  let state: 'idle' | 'telling' | 'stopped' = 'idle';

  const tell = async (): Promise<void> => {
    for (let record = next; record; record = next) {
      next = undefined;
      const told = await write(record).then(
        () => true,
        () => false,
      );
      if (!told && state === 'telling') next ??= record;
      await sleep(told ? restMs : patienceMs);
    }
    if (state === 'telling') state = 'idle';
  };

  return {
    report: (record) => {
      if (state === 'stopped') return;
      next = record;
      if (state === 'telling') return;
      state = 'telling';
      void tell();
    },
    stop: () => {
      state = 'stopped';
      next = undefined;
    },
  };
}
