import type { Script } from '../../../runtime/fake/driver.ts';

/**
 * The few shell lines that the contract uses, for the fake: statements without quotes, joined by `; `. Both streams
 * are one, as in a sandbox; `sleep` comes after all output and before all changes of files.
 */
export const fakeShell: Script = ({ args: [program, , script = ''], secrets = {} }, workspace) => {
  if (program !== 'sh') return { exit: { reason: 'exit', code: 127 } };
  const files = new Map<string, Buffer | undefined>(workspace);
  const output: Iterable<Buffer>[] = [];
  let code = 0;
  let delayMs = 0;
  for (const statement of script.replaceAll(' >&2', '').split('; ')) {
    const [name, first = '', second = '', third = ''] = statement.split(' ');
    code = 0;
    if (name === 'sleep') delayMs += Number(first) * 1000;
    else if (name === 'seq') output.push(sequence(Number(first), Number(second)));
    else if (name === 'rm') files.set(first, undefined);
    else if (name === 'echo' && second === '>') files.set(third, Buffer.from(`${first}\n`));
    else if (name === 'echo') output.push([Buffer.from(`${first}\n`)]);
    else if (name === 'cat') {
      const secret = secrets[first.replace('/run/secrets/', '')];
      const content = secret === undefined ? files.get(first) : Buffer.from(secret);
      output.push([content ?? Buffer.from(`cat: ${first}: No such file or directory\n`)]);
      code = content ? 0 : 1;
    } else if (name === 'exit') {
      code = Number(first);
      break;
    } else throw new Error(`the fake shell does not know: ${statement}`);
  }
  return {
    output: joined(output),
    exit: { reason: 'exit', code },
    delayMs,
    writes: Object.fromEntries(files),
  };
};

function* joined(parts: readonly Iterable<Buffer>[]): Generator<Buffer> {
  for (const part of parts) yield* part;
}

/** As seq(1) prints it, some thousand lines at a time. */
export function* sequence(first: number, last: number): Generator<Buffer> {
  for (let from = first; from <= last; from += 8192) {
    const length = Math.min(8192, last - from + 1);
    yield Buffer.from(Array.from({ length }, (_, i) => `${from + i}\n`).join(''));
  }
}
