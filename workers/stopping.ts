/**
 * What a worker does with the builds that it runs. `draining`: they go on, and it takes no others. `giving-back`: the
 * time for that is over; they are killed and wait for another worker. `canceling`: it was told to stop again.
 */
export type Stage = 'working' | 'draining' | 'giving-back' | 'canceling';

/** How a worker is stopped: once it ends its builds, the reason why stays. */
export interface Stopping {
  readonly stage: Stage;
  /** Aborts when builds that still run are to end: `stage` is then `giving-back` or `canceling`. */
  readonly ending: AbortSignal;
  /** A signal asks for the end: the first one drains, the next one cancels. */
  told(): void;
  /** No more timers; call it when nothing runs. */
  release(): void;
}

/** @param drainMs how long builds may go on after the first signal */
export function createStopping(drainMs: number): Stopping {
  const ending = new AbortController();
  let stage: Stage = 'working';
  let overdue: NodeJS.Timeout | undefined;

  const end = (how: 'giving-back' | 'canceling') => {
    if (ending.signal.aborted) return;
    clearTimeout(overdue);
    stage = how;
    ending.abort();
  };
  return {
    get stage() {
      return stage;
    },
    ending: ending.signal,
    told: () => {
      if (stage !== 'working') return end('canceling');
      stage = 'draining';
      overdue = setTimeout(() => end('giving-back'), drainMs);
    },
    release: () => clearTimeout(overdue),
  };
}
