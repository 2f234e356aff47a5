/** Milliseconds. Tests make them shorter; their order is what safety rests on. */
export interface Timing {
  /** Between two heartbeats of a worker, which keep its builds. */
  readonly beatMs: number;
  /** Without a heartbeat that was answered for so long, a worker drops its builds; they have 3 s to be gone. */
  readonly giveUpMs: number;
  /** Without a heartbeat seen for so long, others take the worker for dead. */
  readonly lockMs: number;
  readonly tickMs: number;
  /** Who waits for a turn is told, and asks besides after each of these. */
  readonly turnMs: number;
  /** A build handed to BullMQ and not claimed for so long is looked after. */
  readonly lostMs: number;
  /** An ended build that its process did not archive is archived by another one after this. */
  readonly archiveMs: number;
  /** Waiting times after the first, second, … failure of the platform. */
  readonly backoffMs: readonly number[];
}

export const defaultTiming: Timing = {
  beatMs: 3_000,
  giveUpMs: 10_000,
  lockMs: 15_000,
  tickMs: 1_000,
  turnMs: 2_000,
  lostMs: 5_000,
  archiveMs: 10_000,
  backoffMs: [5_000, 30_000, 120_000],
};

/**
 * Attempts that may fail by the platform's fault, where no workflow says how many (`retry:`), and workers that may die
 * under a build.
 */
export const mostAttempts = 3;
export const mostDeaths = 2;
