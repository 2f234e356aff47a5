import { setTimeout as sleep } from 'node:timers/promises';
import type { Queue } from './queue.ts';
import type { Report } from './queue/reports.ts';
import { createTeller, type TellerPace, type TellerParts } from './statuses/teller.ts';

/** Milliseconds. */
export interface StatusPace extends TellerPace {
  /** Between two looks for what is due. */
  readonly pollMs: number;
  /** After a crash, others tell what was being told; well above `timeoutMs`. */
  readonly leaseMs: number;
  /** How long close() waits for answers. */
  readonly graceMs: number;
}

const defaultPace: StatusPace = {
  pollMs: 250,
  timeoutMs: 10_000,
  leaseMs: 30_000,
  graceMs: 2_000,
  failed: { firstMs: 1_000, mostMs: 300_000 },
  // Some ten minutes: a token that is being replaced, or a proxy that is being restarted.
  denied: { firstMs: 10_000, mostMs: 300_000, most: 6 },
  confirmMs: 60_000,
};

/** At a time; a forge that is down rests, so these are not all its. */
const sideBySide = 16;

export interface StatusParts extends Omit<TellerParts, 'pace' | 'cut'> {
  readonly queue: Queue;
  readonly pace?: StatusPace;
}

/**
 * How often, since this process began, a forge accepted a status, failed to (`silent`: did not say), denied it, and was
 * given up.
 */
export type StatusCounts = Readonly<Record<'told' | 'failed' | 'silent' | 'denied' | 'refused', number>>;

export interface Statuses {
  readonly counts: StatusCounts;
  /** From now on forges are told. @param publicUrl where people reach the API; no slash at its end */
  start(publicUrl: string): void;
  /** Waits a moment for answers; the rest is told again by whoever comes next. */
  close(): Promise<void>;
}

/**
 * Tells forges how their builds fare. What is told is the state of the moment, if it is further than what the forge has
 * accepted: states in between may be left out, none comes after a later one.
 */
export function openStatuses({ pace = defaultPace, queue, ...parts }: StatusParts): Statuses {
  const { logger } = parts;
  const counts = { told: 0, failed: 0, silent: 0, denied: 0, refused: 0 };
  const closing = new AbortController();
  const cut = new AbortController();
  const teller = createTeller({ ...parts, pace, cut: cut.signal });
  const flying = new Set<Promise<void>>();
  let running = Promise.resolve();

  const onTrouble = (error: unknown) =>
    logger.warn({ err: error }, 'commit statuses have trouble; tried again');
  const handle = async (report: Report, publicUrl: string, until: number): Promise<void> => {
    const told = await teller.tell(report, publicUrl, () => until - performance.now());
    if (!told) return;
    const { kind } = told.settled;
    if (kind !== 'nothing' && kind !== 'resting') counts[kind]++;
    await queue.reports.settle(report, told.settled, told.ended);
  };
  const round = async (publicUrl: string): Promise<'some' | 'none'> => {
    const until = performance.now() + pace.leaseMs;
    const taken = await queue.reports.take(sideBySide - flying.size, pace.leaseMs);
    for (const report of taken) {
      const done = handle(report, publicUrl, until)
        .catch(onTrouble)
        .finally(() => flying.delete(done));
      flying.add(done);
    }
    return taken.length > 0 ? 'some' : 'none';
  };
  const pause = () => sleep(pace.pollMs, undefined, { signal: closing.signal }).catch(() => {});
  const run = async (publicUrl: string): Promise<void> => {
    while (!closing.signal.aborted) {
      const found = await round(publicUrl).catch((error: unknown) => (onTrouble(error), 'none' as const));
      if (found === 'none') await pause();
      while (flying.size >= sideBySide) await Promise.race(flying);
    }
    await Promise.all(flying);
  };

  return {
    counts,
    start: (publicUrl) => {
      running = run(publicUrl);
    },
    close: async () => {
      closing.abort();
      const timer = setTimeout(() => cut.abort(), pace.graceMs);
      await running;
      clearTimeout(timer);
    },
  };
}
