/** Milliseconds. */
export interface Backoff {
  /** After the first failure; doubled by each further one. */
  readonly firstMs: number;
  readonly mostMs: number;
}

/** How long to wait after so many failures; half of it is chance, so that not all come back at once. */
export function backoffMs({ firstMs, mostMs }: Backoff, failures: number): number {
  return Math.min(firstMs * 2 ** Math.min(failures, 30), mostMs) * (0.5 + Math.random() / 2);
}

/**
 * Forges that failed are left alone for a while, by all builds: otherwise those of one that does not answer would keep
 * everybody busy who could tell another. Times are of the monotonic clock, ms.
 */
export function createRests(backoff: Backoff) {
  const rests = new Map<
    string,
    { readonly until: number; readonly failures: number; readonly since: number }
  >();
  return {
    /** How much longer; 0: it may be asked. */
    left: (origin: string, now = performance.now()): number =>
      Math.max(0, (rests.get(origin)?.until ?? 0) - now),
    /** @param began when the request was sent; several that failed together count as one */
    failed: (origin: string, began: number, askedMs: number | undefined, now = performance.now()): void => {
      const { failures = 0, since = -Infinity, until = 0 } = rests.get(origin) ?? {};
      const again = since > began ? failures : failures + 1;
      const pause = Math.max(askedMs ?? 0, backoffMs(backoff, again - 1));
      rests.set(origin, { until: Math.max(until, now + pause), failures: again, since: now });
    },
    answered: (origin: string): void => void rests.delete(origin),
  };
}
