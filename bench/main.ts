import { cpus, release } from 'node:os';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { exitCode } from '../src/cli/exit.ts';
import { caches } from './caches.ts';
import { command } from './command.ts';
import { crowd } from './crowd.ts';
import { log } from './log.ts';
import { mask } from './mask.ts';
import { overhead } from './overhead.ts';
import { plan } from './plan.ts';
import { type Row, summarise } from './row.ts';
import { openSite, type Site } from './site.ts';
import { start } from './start.ts';
import { steps } from './steps.ts';
import { table } from './table.ts';
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

interface Options {
  readonly json?: boolean;
  readonly only: readonly string[];
  readonly runs: number;
  readonly dockerSocket: string;
}

const program = new Command('bench')
  .description(
    'Measures this machine: sandboxes beside bare crun, Docker and podman, as far as they are there.',
  )
  .option('--json', 'print one JSON document instead of a table')
  .addOption(
    new Option('--only <name...>', 'measure these alone')
      .choices(Object.keys(figures))
      .default(Object.keys(figures)),
  )
  .option('--runs <n>', 'samples of a start; everything else scales with it', positive, 100)
  .option('--docker-socket <path>', 'where the Docker daemon listens', dockerHost(process.env['DOCKER_HOST']))
  .exitOverride();

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());

try {
  await measure(program.parse().opts<Options>());
} catch (error) {
  // A target that is missed is a result; only a benchmark that cannot run fails.
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.passed : exitCode.usage;
  if (stop.signal.aborted) return exitCode.canceled;
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return exitCode.errored;
}

async function measure({ json, only, runs, dockerSocket }: Options): Promise<void> {
  const progress = (line: string) => void process.stderr.write(`${line}\n`);
  const site = await openSite({
    runs,
    dataDir: process.env['COFFERDAM_DATA'],
    dockerSocket,
    stop: stop.signal,
    progress,
  });
  try {
    const results = [];
    for (const name of only) {
      progress(`measuring ${name}`);
      const rows = (await figures[name]?.(site)) ?? [];
      results.push({ figure: name, rows: rows.map(summarise) });
    }
    const machine = { processors: cpus().length, kernel: release(), node: process.version };
    process.stdout.write(json ? `${JSON.stringify({ machine, runs, results }, null, 2)}\n` : table(results));
  } finally {
    await site.close();
  }
}

function positive(value: string): number {
  const number = Number(value);
  if (!Number.isInteger(number) || number < 1) throw new InvalidArgumentError('a whole number, 1 or more');
  return number;
}

function dockerHost(host: string | undefined): string {
  return host?.startsWith('unix://') ? host.slice('unix://'.length) : '/var/run/docker.sock';
}
