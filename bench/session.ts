import { cpus, release } from 'node:os';
import { Command, CommanderError, Option } from 'commander';
import { exitCode } from '../src/cli/exit.ts';
import { type Row, summarise } from './row.ts';
import { openSite, type Site } from './site.ts';
import { table } from './table.ts';

/** What every benchmark can be asked. */
export interface SessionOptions {
  readonly json?: boolean;
  readonly only: readonly string[];
  readonly dockerSocket: string;
}

/** A benchmark's command line, to which it adds its own options. */
export function benchCommand(name: string, description: string, figures: readonly string[]): Command {
  return new Command(name)
    .description(description)
    .option('--json', 'print one JSON document instead of a table')
    .addOption(new Option('--only <name...>', 'measure these alone').choices(figures).default(figures))
    .option(
      '--docker-socket <path>',
      'where the Docker daemon listens',
      dockerHost(process.env['DOCKER_HOST']),
    )
    .exitOverride();
}

export interface Session<Options extends SessionOptions> {
  readonly command: Command;
  /** Samples of a start; everything else scales with it. */
  readonly runs: (options: Options) => number;
  /** How much was asked for, as the JSON document says it. */
  readonly extent: (options: Options) => object;
  readonly measure: (figure: string, site: Site, options: Options) => Promise<Row[]>;
}

/** Reads the command line, measures, prints, and sets the exit code. SIGINT, SIGTERM and SIGHUP stop it. */
export async function runSession<Options extends SessionOptions>(session: Session<Options>): Promise<void> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop.abort());
  try {
    await measureAll(session, stop.signal);
  } catch (error) {
    // A target that is missed is a result; only a benchmark that cannot run fails.
    process.exitCode = report(error, stop.signal);
  }
}

async function measureAll<Options extends SessionOptions>(
  { command, runs, extent, measure }: Session<Options>,
  stop: AbortSignal,
): Promise<void> {
  const options = command.parse().opts<Options>();
  const progress = (line: string) => void process.stderr.write(`${line}\n`);
  const site = await openSite({
    runs: runs(options),
    dataDir: process.env['COFFERDAM_DATA'],
    dockerSocket: options.dockerSocket,
    stop,
    progress,
  });
  try {
    const results = [];
    for (const figure of options.only) {
      progress(`measuring ${figure}`);
      const rows = await measure(figure, site, options);
      results.push({ figure, rows: rows.map(summarise) });
    }
    const machine = { processors: cpus().length, kernel: release(), node: process.version };
    const all = { machine, ...extent(options), results };
    process.stdout.write(options.json ? `${JSON.stringify(all, null, 2)}\n` : table(results));
  } finally {
    await site.close();
  }
}

function report(error: unknown, stop: AbortSignal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.passed : exitCode.usage;
  if (stop.aborted) return exitCode.canceled;
  process.stderr.write(`bench: ${error instanceof Error ? error.message : String(error)}\n`);
  return exitCode.errored;
}

function dockerHost(host: string | undefined): string {
  return host?.startsWith('unix://') ? host.slice('unix://'.length) : '/var/run/docker.sock';
}
