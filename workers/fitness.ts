import { statfsSync } from 'node:fs';

/** Whether this worker should take builds, and why not. */
export type Fitness =
  | { readonly kind: 'fit' }
  | { readonly kind: 'low-disk'; readonly message: string }
  | { readonly kind: 'quarantined'; readonly message: string };

/** Judges the worker by what happens to its builds and by its disk. */
export interface FitnessWatch {
  /** A build ended; `infrastructure` says that the platform failed it. */
  ended(how: 'infrastructure' | 'other', now?: number): void;
  check(now?: number): Fitness;
}

export interface FitnessOptions {
  /** The directory whose filesystem holds images, sources and disks. */
  readonly dataDir: string;
  /** Below this much free space no build is taken. */
  readonly headroomBytes: number;
}

/** So many infrastructure failures in a row make a worker suspect: others may do better. */
const failuresInRow = 3;
const firstQuarantineMs = 60_000;
const longestQuarantineMs = 30 * 60_000;

/**
 * A worker that fails builds one after another stops taking them for a minute, then tries one; each further failure
 * doubles the time, the first success ends it.
 */
export function watchFitness({ dataDir, headroomBytes }: FitnessOptions): FitnessWatch {
  let inRow = 0;
  let until = 0;
  return {
    ended: (how, now = Date.now()) => {
      inRow = how === 'infrastructure' ? inRow + 1 : 0;
      if (inRow < failuresInRow) until = 0;
      else until = now + Math.min(longestQuarantineMs, firstQuarantineMs * 2 ** (inRow - failuresInRow));
    },
    check: (now = Date.now()) => {
      if (now < until) {
        const message = `${inRow} infrastructure failures in a row; takes builds again at ${new Date(until).toISOString()}`;
        return { kind: 'quarantined', message };
      }
      const { bavail, bsize } = statfsSync(dataDir);
      if (bavail * bsize < headroomBytes) {
        const message = `${bavail * bsize} bytes free in ${dataDir}, less than the headroom of ${headroomBytes}`;
        return { kind: 'low-disk', message };
      }
      return { kind: 'fit' };
    },
  };
}
