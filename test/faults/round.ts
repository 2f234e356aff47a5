import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Census, census } from '../census.ts';
import { violationsOf } from './invariants.ts';
import { tickingJob } from './job.ts';
import { openLedger } from './ledger.ts';
import { createRandom } from '../random.ts';
import { type Fault, type Preparation, type Scene, submitLoad } from './scene.ts';
import { startService } from './service.ts';
import { makeScratch } from './site.ts';

export interface Report {
  readonly fault: string;
  readonly seed: number;
  readonly builds: number;
  readonly seconds: number;
  /** Empty: everything held. */
  readonly violations: readonly string[];
  /** Logs and archive of a round with violations; removed otherwise. */
  readonly scratch: string;
}

const defaultDrainMs = 120_000;

/** One service from its start to its end, with one fault. */
export async function runRound(fault: Fault, seed: number, dataDir: string): Promise<Report> {
  const began = performance.now();
  const scratch = makeScratch();
  const random = createRandom(seed);
  const violations: string[] = [];
  const prepared: Preparation = (await fault.prepare?.(scratch)) ?? {};
  const service = await startService({ dataDir, scratch, ...prepared });
  const ledger = openLedger(service.client);
  try {
    await service.ready();
    const before = census(dataDir);
    const scene: Scene = {
      random,
      service,
      ledger,
      scratch,
      dataDir,
      load: (count) => submitLoad({ random, ledger }, count),
      demand: (what, holds) => void (holds || violations.push(`${fault.id} ${what}`)),
    };
    const tolerance = await fault.strike(scene);
    const { aftermath = 'mended', drainMs = defaultDrainMs } = fault;
    // Nobody helps from here on.
    if (aftermath === 'mended') await ledger.submit(tickingJob(random, 1));
    if (aftermath !== 'lost') {
      const open = await ledger.drain(drainMs);
      if (open !== undefined) violations.push(`I1 not ended in time: ${open}`);
      violations.push(...(await violationsOf(ledger, service, tolerance)));
    }
    violations.push(...(await leftovers(dataDir, before)));
  } catch (error) {
    violations.push(
      `the round broke: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
    );
  } finally {
    await ledger.close();
    for (const name of await service.close()) violations.push(`I7 ${name} does not end at SIGTERM`);
    await prepared.close?.();
  }
  if (violations.length === 0) rmSync(scratch, { recursive: true });
  const seconds = (performance.now() - began) / 1_000;
  return { fault: fault.id, seed, builds: ledger.entries.length, seconds, violations, scratch };
}

/** The kernel takes namespaces and loop devices apart in the background, and others' sandboxes come and go. */
const patienceMs = 10_000;

async function leftovers(dataDir: string, before: Census): Promise<string[]> {
  for (const deadline = performance.now() + patienceMs; ; await sleep(100)) {
    const left = Object.entries(census(dataDir)).flatMap(([kind, list]) =>
      list.filter((item) => !before[kind]?.includes(item)).map((item) => `I5 left behind: ${kind} ${item}`),
    );
    if (left.length === 0 || performance.now() > deadline) return left;
  }
}
