import { cpus, release } from 'node:os';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { exitCode } from '../src/cli/exit.ts';
import { type Row, summarise } from './row.ts';
import { backlog } from './service/backlog.ts';
import { endToEnd } from './service/end-to-end.ts';
import { followers } from './service/followers.ts';
import { history } from './service/history.ts';
import { latency } from './service/latency.ts';
import type { StackOptions } from './service/stack.ts';
import { webhooks } from './service/webhooks.ts';
import { openSite, type Site } from './site.ts';
import { table } from './table.ts';

const figures: Readonly<Record<string, (site: Site, options: StackOptions) => Promise<Row[]>>> = {
  'end-to-end': endToEnd,
  latency,
  backlog,
  followers,
  history,
  webhooks,
};

interface Options {
  readonly json?: boolean;
  readonly only: readonly string[];
  readonly scale: number;
  readonly dockerSocket: string;
  readonly profile?: string;
}

const program = new Command('bench:service')
  .description('Measures the service on this machine: API, queue, worker, Redis and clients together.')
  .option('--json', 'print one JSON document instead of a table')
  .addOption(
    new Option('--only <name...>', 'measure these alone')
      .choices(Object.keys(figures))
      .default(Object.keys(figures)),
  )
  .option('--scale <factor>', 'of everything that is counted; the targets are for 1', scaleOf, 1)
  .option('--docker-socket <path>', 'where the Docker daemon listens', dockerHost(process.env['DOCKER_HOST']))
  .option('--profile <directory>', 'write V8 profiles of API and worker there')
  .exitOverride();

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());

try {
  await measure(program.parse().opts<Options>());
} catch (error) {
  process.exitCode = report(error);
}

function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.passed : exitCode.usage;
  if (stop.signal.aborted) return exitCode.canceled;
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return exitCode.errored;
}

async function measure({ json, only, scale, dockerSocket, profile }: Options): Promise<void> {
  const progress = (line: string) => void process.stderr.write(`${line}\n`);
  const site = await openSite({
    runs: Math.max(1, Math.round(100 * scale)),
    dataDir: process.env['COFFERDAM_DATA'],
    dockerSocket,
    stop: stop.signal,
    progress,
  });
  try {
    const results = [];
    for (const name of only) {
      progress(`measuring ${name}`);
      const rows = (await figures[name]?.(site, { profile })) ?? [];
      results.push({ figure: name, rows: rows.map(summarise) });
    }
    const machine = { processors: cpus().length, kernel: release(), node: process.version };
    process.stdout.write(json ? `${JSON.stringify({ machine, scale, results }, null, 2)}\n` : table(results));
  } finally {
    await site.close();
  }
}

function scaleOf(value: string): number {
  const number = Number(value);
  if (!(number > 0)) throw new InvalidArgumentError('a number above 0');
  return number;
}

function dockerHost(host: string | undefined): string {
  return host?.startsWith('unix://') ? host.slice('unix://'.length) : '/var/run/docker.sock';
}
