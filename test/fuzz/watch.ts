import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { Budget, Report } from './target.ts';

/** What a thread is to do. It writes into `rounds` which round it is at. */
export interface Assignment {
  readonly name: string;
  readonly budget: Budget;
  readonly rounds: Int32Array<SharedArrayBuffer>;
}

/** An input that takes longer than this never ends. Far beyond what any takes on a machine that does other things. */
const patienceMs = 30_000;

/** Runs a campaign in a thread of its own, which is ended when one input takes for ever. */
export async function watch(name: string, budget: Budget): Promise<Report> {
  const rounds = new Int32Array(new SharedArrayBuffer(4));
  const workerData: Assignment = { name, budget, rounds };
  const thread = new Worker(new URL('./thread.ts', import.meta.url), { workerData, execArgv: [] });
  const hung = Promise.withResolvers<Report>();
  let last = -1;
  const timer = setInterval(() => {
    const round = Atomics.load(rounds, 0);
    if (round === last) {
      const reason = `it did not end within ${patienceMs / 1000} s`;
      hung.resolve({ kind: 'broken', seed: budget.seed + round, reason, input: '?', smaller: '?' });
    }
    last = round;
  }, patienceMs);
  try {
    const told: Promise<Report[]> = once(thread, 'message').then((values: Report[]) => values);
    const [report] = await Promise.race([told, hung.promise.then((value) => [value])]);
    if (!report) throw new Error(`the thread of ${name} said nothing`);
    return report;
  } finally {
    clearInterval(timer);
    await thread.terminate();
  }
}
