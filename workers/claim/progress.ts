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

/** @param write tells; what it cannot is left to the next one */
export function createProgress(write: (record: BuildRecord) => Promise<unknown>): Progress {
  let next: BuildRecord | undefined;
  let state: 'idle' | 'telling' | 'stopped' = 'idle';

  const tell = async (): Promise<void> => {
    for (let record = next; record; record = next) {
      next = undefined;
      await write(record).catch(() => {});
      await sleep(restMs);
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
