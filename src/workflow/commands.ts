import { type Known } from './interpolation.ts';
import type { Filling } from './room.ts';

/** Variables that commands of a workflow may name as `${NAME}`. */
export interface CommandVariables {
  /** Written in the workflow file itself, as the commands are. */
  readonly own: Known;
  /** Of the build: branches, messages and titles, which strangers write. */
  readonly foreign: Known;
  readonly fill: Filling;
}

/** Has no meaning to any shell, wherever it stands. */
const harmless = /^[A-Za-z0-9_./:@%+=,-]*$/;

/** Known only when the step runs; they are in its environment. */
const late = /^CI_(STEP_|WORKSPACE$|SCRIPT$|PIPELINE_STARTED$|NETRC_)/;

/**
 * Replaces `${NAME}` in the commands of one container. A value that could mean something to a shell is not put in: a
 * reference to a variable that holds it is, which is added to `environment`. So a branch called `$(reboot)` is a text
 * and never a command. Names that are not ours stay for the shell.
 *
 * @param taken names of variables of the container that are secrets
 */
export function createCommandText(
  variables: CommandVariables,
  environment: Record<string, string>,
  taken: ReadonlySet<string>,
): (command: string) => string {
  const references = new Map<string, string>();

  const known: Known = (name) => {
    if (late.test(name)) return undefined;
    return variables.own(name) ?? variables.foreign(name) ?? (name.startsWith('CI_') ? '' : undefined);
  };

  const referenceTo = (value: string, name: string): string => {
    const isWhole = value === variables.foreign(name) && !taken.has(name);
    if (isWhole && (environment[name] === undefined || environment[name] === value)) {
      environment[name] = value;
      return name;
    }
    let reference = references.get(value);
    for (let number = 1; reference === undefined; number++) {
      const candidate = `COFFERDAM_VALUE_${number}`;
      if (environment[candidate] === undefined && !taken.has(candidate)) reference = candidate;
    }
    references.set(value, reference);
    environment[reference] = value;
    return reference;
  };

  const insert = (value: string, name: string): string => {
    if (variables.own(name) !== undefined || harmless.test(value)) return value;
    return `\${${referenceTo(value, name)}}`;
  };
  return (command) => variables.fill(command, known, insert);
}
