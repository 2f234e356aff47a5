import { setTimeout as sleep } from 'node:timers/promises';
import type { Entry, Ledger } from './ledger.ts';
import type { Tolerance } from './invariants.ts';
import { type Job, randomJob } from './job.ts';
import type { Random } from '../random.ts';
import type { Service, WorkerVictim } from './service.ts';

/** What a fault has to work with. */
export interface Scene {
  readonly random: Random;
  readonly service: Service;
  readonly ledger: Ledger;
  /** A directory of this round. */
  readonly scratch: string;
  /** The workers' data directory. */
  readonly dataDir: string;
  /** Random builds, submitted one after another over some seconds; resolves when all are acknowledged. */
  readonly load: (count: number) => Promise<void>;
  /** What this fault must show besides the invariants. */
  readonly demand: (what: string, holds: boolean) => void;
}

/** One kind of trouble. */
export interface Fault {
  /** As in the threat model: `F1`, … */
  readonly id: string;
  readonly title: string;
  /** Does it, heals, and says what it may have cost. Builds may still run when it returns. */
  readonly strike: (scene: Scene) => Promise<Tolerance>;
  /**
   * How things are after it. `mended` (default): as good as before, without anybody's help. `crippled`: builds end, and
   * new ones cannot run. `lost`: the data is gone, and whoever sees to it must start again.
   */
  readonly aftermath?: 'mended' | 'crippled' | 'lost';
  /** How long everything may take to end after that; default 120 s. */
  readonly drainMs?: number;
  /** Why it cannot be tried on this machine. */
  readonly missing?: () => string | undefined;
  /** Where the service of the round differs from the usual one. */
  readonly prepare?: (scratch: string) => Promise<Preparation>;
}

export interface Preparation {
  readonly store?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly slots?: number;
  readonly close?: () => Promise<void>;
}

export const wait = (ms: number): Promise<void> => sleep(ms);

export async function submitLoad({ random, ledger }: Pick<Scene, 'random' | 'ledger'>, count: number) {
  // Drawn at once, so that they do not depend on who is faster.
  const jobs = Array.from({ length: count }, (): [Job, number] => [
    randomJob(random),
    random.between(0, 600),
  ]);
  for (const [job, pauseMs] of jobs) {
    await sleep(pauseMs);
    await ledger.submit(job);
  }
}

/** Resolves when a worker runs the build; undefined when it ended before. */
export async function runningOn(
  { service, ledger }: Scene,
  entry: Entry,
  patienceMs = 60_000,
): Promise<WorkerVictim | undefined> {
  for (const deadline = performance.now() + patienceMs; performance.now() < deadline; await sleep(20)) {
    if (entry.verdicts.size > 0) return undefined;
    const record = await service.client.build(entry.id).catch(() => undefined);
    const name = record?.status === 'running' && record.attempts?.at(-1)?.worker;
    const worker = name && service.workers.find((each) => each.name === name);
    if (worker) return worker;
  }
  ledger.violations.push(`I7 ${entry.id} does not begin to run within ${patienceMs} ms`);
  return undefined;
}
