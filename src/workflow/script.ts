/** MAX_ARG_STRLEN of Linux less the NUL at its end: `sh -c SCRIPT` fails with E2BIG beyond it. */
export const maxScriptBytes = 128 * 1024 - 1;

/**
 * The shell script of a step: each command is shown on stdout as `+ COMMAND`, as it is written, and then run. All
 * run in one shell, so `cd` and variables carry over; the first that fails ends it.
 *
 * For any POSIX sh. Commands are put in as they are, not through eval, because Woodpecker files may spread a
 * compound command over several (`if …; then`, …, `fi`). The empty line after each keeps a backslash at its end
 * from swallowing what follows.
 */
export function shellScript(commands: readonly string[]): string {
  return ['set -e\n', ...commands.map((each) => `printf '+ %s\\n' ${quoted(shown(each))}\n${each}\n\n`)].join(
    '',
  );
}

/** What the script writes of each command before it runs it. */
export function traces(commands: readonly string[]): string[] {
  return commands.map((each) => `+ ${shown(each)}\n`);
}

function shown(command: string): string {
  return command.replace(/\n+$/, '');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
