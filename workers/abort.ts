/**
 * Why a build, or one workflow of it, is stopped before its steps are through. `failure`: of a step with
 * `failure: cancel`; `service`: one is gone that the steps need.
 */
export type AbortReason = 'timeout' | 'canceled' | 'failure' | 'service';

/**
 * Stops a build, or a workflow. The first reason stays. `stopping`: its processes got SIGTERM and have the grace time; `killed`:
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
  /** No more timers; call it when all is over. */
  release(): void;
}

/** How long processes may take to end after SIGTERM, in milliseconds. */
const graceMs = { timeout: 10_000, canceled: 1500, failure: 1500, service: 1500 } as const;

/**
 * @param timeoutMs after which it is stopped by itself; undefined: never
 * @param above what stops this one too, for its own reason
 */
export function createAbort(timeoutMs?: number, above?: Abort): Abort {
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
  const onTimeout = () => {
    if (reason === undefined) request('timeout');
  };
  const timeout = timeoutMs === undefined ? undefined : setTimeout(onTimeout, timeoutMs);
  const onStopping = () => {
    if (above?.reason !== undefined) request(above.reason);
  };
  const onKilled = () => killed.abort();
  above?.stopping.addEventListener('abort', onStopping);
  above?.killed.addEventListener('abort', onKilled);
  if (above?.stopping.aborted) onStopping();
  if (above?.killed.aborted) onKilled();

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
      above?.stopping.removeEventListener('abort', onStopping);
      above?.killed.removeEventListener('abort', onKilled);
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
