/** Why a build is stopped from outside before its steps are through. */
export type AbortReason = 'timeout' | 'canceled';

/**
 * Stops a build. The first reason stays. `stopping`: its processes got SIGTERM and have the grace time; `killed`:
 * the time is over, or somebody asked twice.
 */
export interface Abort {
  readonly reason: AbortReason | undefined;
  /** Aborts when stopping begins. */
  readonly stopping: AbortSignal;
  /** Aborts when everything is to be killed. */
  readonly killed: AbortSignal;
  /** Begins to stop; a second call kills at once. */
  request(reason: AbortReason): void;
  /** No more timers; call it when the build is over. */
  release(): void;
}

/** How long processes may take to end after SIGTERM, in milliseconds. */
const graceMs = { timeout: 10_000, canceled: 1500 } as const;

/** @param timeoutMs after which the build is stopped by itself */
export function createAbort(timeoutMs: number): Abort {
  const stopping = new AbortController();
  const killed = new AbortController();
  let reason: AbortReason | undefined;
  let grace: NodeJS.Timeout | undefined;

  const request = (why: AbortReason) => {
    if (reason !== undefined) return killed.abort();
    reason = why;
    grace = setTimeout(() => killed.abort(), graceMs[why]);
    stopping.abort();
  };
  const timeout = setTimeout(() => {
    if (reason === undefined) request('timeout');
  }, timeoutMs);

  return {
    get reason() {
      return reason;
    },
    stopping: stopping.signal,
    killed: killed.signal,
    request,
    release: () => {
      clearTimeout(timeout);
      clearTimeout(grace);
    },
  };
}

/** The build is being stopped while something else was awaited. */
export class AbortedError extends Error {
  override readonly name = 'AbortedError';
}

/** Waits for work, but no longer than until the signal; the work itself is left to end. */
export async function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = () => aborted.reject(new AbortedError('stopped'));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    // Whichever lost the race is nobody's concern any more.
    work.catch(() => {});
    aborted.promise.catch(() => {});
  }
}
