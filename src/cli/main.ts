import { Command, CommanderError } from 'commander';
import { ConfigError, loadConfig } from '../config.ts';
import { version } from '../version.ts';
import { commands } from './commands.ts';
import { exitCode } from './exit.ts';
import { UsageError } from '../usage.ts';

/** Runs the command line; returns the exit code. The process edge: errors are shown here and nowhere else. */
export async function main(argv: readonly string[]): Promise<number> {
  const program = new Command('cofferdam')
    .description('Runs builds in throwaway sandboxes that start in milliseconds and leave nothing behind.')
    .version(version, '-V, --version')
    // So that `--` reaches the command: `run -- CMD` must not take CMD for its directory.
    .enablePositionalOptions()
    .exitOverride();
  // `help run` is `run --help`.
  const line = argv[0] === 'help' && commands[argv[1] ?? ''] ? [...argv.slice(1), '--help'] : argv;
  const wanted = commands[line[0] ?? ''];
  for (const stream of [process.stdout, process.stderr]) stream.on('error', readerGone);
  try {
    if (wanted) {
      const { command } = await wanted.load();
      program.addCommand(command().exitOverride().copyInheritedSettings(program));
    } else {
      for (const [name, { group, summary }] of Object.entries(commands)) {
        program.addCommand(new Command(name).summary(summary).helpGroup(group));
      }
      program.configureHelp({ subcommandTerm: (command) => command.name() }).helpCommand('help <command>');
    }
    if (argv.length === 0) {
      program.outputHelp({ error: true });
      return exitCode.usage;
    }
    await program.parseAsync(line, { from: 'user' });
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
