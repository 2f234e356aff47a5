import { Command, InvalidArgumentError } from 'commander';
import { exitCode } from '../../src/cli/exit.ts';
import { catalog, pickFaults } from './catalog.ts';
import type { Fault } from './scene.ts';
import { type Report, runRound } from './round.ts';
import { withWorkersDir } from './site.ts';

interface Options {
  readonly seed: number;
  readonly rounds: number;
  readonly faults: readonly Fault[];
  readonly json?: boolean;
}

const ids = catalog.map(({ id }) => id);

const program = new Command('faults')
  .description('Breaks a real service in every way it must survive, and checks that it did.')
  .option('--seed <n>', 'what decides; round n of a run has seed + n - 1', whole, Date.now() % 1_000_000)
  .option('--faults <list>', `some of ${ids.join(',')}; joined by + they strike together`, listed, catalog)
  .option('--rounds <n>', 'how often each fault strikes', whole, 1)
  .option('--json', 'print one JSON document');

const { seed, rounds, faults, json } = program.parse().opts<Options>();
const say = (text: string) => void process.stderr.write(`${text}\n`);
const reports: Report[] = [];

await withWorkersDir(say, async (dataDir) => {
  for (let round = 0; round < rounds; round++) {
    for (const fault of faults) {
      const missing = fault.missing?.();
      if (missing !== undefined) {
        say(`${fault.id}  left out: ${missing}`);
        continue;
      }
      const report = await runRound(fault, seed + round, dataDir);
      reports.push(report);
      tell(report, fault.title);
    }
  }
});
if (json) process.stdout.write(`${JSON.stringify(reports, null, 2)}\n`);
process.exitCode = reports.some(({ violations }) => violations.length > 0)
  ? exitCode.failed
  : exitCode.passed;

function tell({ fault, seed: used, builds, seconds, violations, scratch }: Report, title: string): void {
  const verdict = violations.length === 0 ? 'held' : `${violations.length} VIOLATIONS`;
  say(`${fault.padEnd(9)} ${verdict.padEnd(14)} ${builds} builds, ${seconds.toFixed(0)} s  ${title}`);
  for (const violation of violations) say(`    ${violation}`);
  if (violations.length > 0)
    say(`    again: npm run faults -- --seed ${used} --faults ${fault}   logs: ${scratch}`);
}

function whole(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 0) throw new InvalidArgumentError('a whole number');
  return number;
}

function listed(value: string): Fault[] {
  try {
    return value.split(',').map(pickFaults);
  } catch (error) {
    throw new InvalidArgumentError(error instanceof Error ? error.message : String(error));
  }
}
