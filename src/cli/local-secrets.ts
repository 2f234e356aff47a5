import { readFileSync } from 'node:fs';
import { environmentVariable } from '../config.ts';
import { checkSecret, SecretError } from '../secrets.ts';
import { UsageError } from '../usage.ts';

/**
 * `--secret NAME`: the value of that variable; `NAME=@FILE` and `NAME=@-`: the content of a file and of stdin, without
 * the newline at its end. A value itself is refused, for all processes of a machine see the arguments of all. Throws
 * UsageError.
 */
export function collectSecret(
  text: string,
  before: ReadonlyMap<string, string>,
): ReadonlyMap<string, string> {
  const [, name = '', file] = /^([^=]*)(?:=@(.+))?$/.exec(text) ?? [];
  if (name === '') {
    throw new UsageError(
      '--secret takes NAME, for the value of the variable NAME, or NAME=@FILE; not a value, which would be seen by all',
    );
  }
  const value = file === undefined ? variable(name) : content(name, file);
  try {
    checkSecret(name, value);
  } catch (error) {
    if (!(error instanceof SecretError)) throw error;
    throw new UsageError(`--secret ${name}: ${error.message}`, { cause: error });
  }
  return new Map([...before, [name, value]]);
}

function variable(name: string): string {
  const value = environmentVariable(name);
  if (value === undefined) {
    throw new UsageError(`--secret ${name}: there is no variable ${name}; set it, or use ${name}=@FILE`);
  }
  return value;
}

function content(name: string, file: string): string {
  try {
    return readFileSync(file === '-' ? 0 : file, 'utf8').replace(/\r?\n$/, '');
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(`--secret ${name}: cannot read ${file}: ${reason}`, { cause: error });
  }
}
