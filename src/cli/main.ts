import { Command, CommanderError } from 'commander';
import { ConfigError, loadConfig } from '../config.ts';
import { version } from '../version.ts';
import { exitCode } from './exit.ts';
import { UsageError } from '../usage.ts';

/**
 * One file a command; each exports `command()`. Loaded only when asked for: parsing the whole program would
 * cost more than starting a sandbox.
 */
const commands: Record<string, () => Promise<{ readonly command: () => Command }>> = {
  approve: () => import('./approve.ts'),
  artifacts: () => import('./artifacts.ts'),
  cache: () => import('./cache.ts'),
  cancel: () => import('./cancel.ts'),
  doctor: () => import('./doctor.ts'),
  hook: () => import('./hook.ts'),
  image: () => import('./image.ts'),
  lint: () => import('./lint.ts'),
  logs: () => import('./logs.ts'),
  ls: () => import('./ls.ts'),
  repo: () => import('./repo.ts'),
  retry: () => import('./retry.ts'),
  run: () => import('./run.ts'),
  schema: () => import('./schema.ts'),
  secret: () => import('./secret.ts'),
  serve: () => import('./serve.ts'),
  show: () => import('./show.ts'),
  submit: () => import('./submit.ts'),
  token: () => import('./token.ts'),
  up: () => import('./up.ts'),
  worker: () => import('./worker.ts'),
};

/** Runs the command line; returns the exit code. The process edge: errors are shown here and nowhere else. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('cofferdam')
    .description('Runs builds in throwaway sandboxes that start in milliseconds and leave nothing behind.')
    .version(version, '-V, --version')
    // So that `--` reaches the command: `run -- CMD` must not take CMD for its directory.
    .enablePositionalOptions()
    .exitOverride();
  const wanted = commands[argv[0] ?? ''];
  const loaders = wanted ? [wanted] : Object.values(commands);
  for (const stream of [process.stdout, process.stderr]) stream.on('error', readerGone);
  try {
    for (const { command } of await Promise.all(loaders.map((load) => load()))) {
      program.addCommand(command().exitOverride().copyInheritedSettings(program));
    }
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return exitCode.usage;
    }
    await program.parseAsync(argv, { from: 'user' });
    return Number(process.exitCode ?? exitCode.passed);
  } catch (error) {
    return await report(error);
  }
}

/** `cofferdam … | head -1` is no error. */
function readerGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error;
}

async function report(error: unknown): Promise<number> {
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.passed : exitCode.usage;
  if (error instanceof UsageError || error instanceof ConfigError) {
    process.stderr.write(`cofferdam: ${error.message}\n`);
    return exitCode.usage;
  }
  const shown = error instanceof Error ? error.message : String(error);
  process.stderr.write(`cofferdam: ${shown}\n`);
  const { default: pino } = await import('pino');
  pino({ level: loadConfig().logLevel }, pino.destination({ fd: 2, sync: true })).debug(
    { err: error },
    shown,
  );
  return exitCode.errored;
}
