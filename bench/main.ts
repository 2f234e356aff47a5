import { InvalidArgumentError } from 'commander';
import { caches } from './caches.ts';
import { command } from './command.ts';
import { crowd } from './crowd.ts';
import { log } from './log.ts';
import { mask } from './mask.ts';
import { overhead } from './overhead.ts';
import { plan } from './plan.ts';
import type { Row } from './row.ts';
import { benchCommand, runSession, type SessionOptions } from './session.ts';
import type { Site } from './site.ts';
import { start } from './start.ts';
import { steps } from './steps.ts';
import { throughput } from './throughput.ts';

const figures: Readonly<Record<string, (site: Site) => Promise<Row[]>>> = {
  start,
  throughput,
  steps,
  command,
  overhead,
  crowd,
  log,
  mask,
  caches,
  plan,
};

interface Options extends SessionOptions {
  readonly runs: number;
}

await runSession<Options>({
  command: benchCommand(
    'bench',
    'Measures this machine: sandboxes beside bare crun, Docker and podman, as far as they are there.',
    Object.keys(figures),
  ).option('--runs <n>', 'samples of a start; everything else scales with it', positive, 100),
  runs: ({ runs }) => runs,
  extent: ({ runs }) => ({ runs }),
  measure: async (figure, site) => (await figures[figure]?.(site)) ?? [],
});

function positive(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('a whole number, 1 or more');
  return number;
}
