import { open } from 'node:fs/promises';
import { longestSecret } from '../secrets.ts';
import { UsageError } from '../usage.ts';

/** Where secrets are read from: arguments and the environment are shown to others by `ps` and in logs. */
export interface SecretInput {
  /**
   * The text of a file, or of stdin for `-`, which can be read once. Throws UsageError that names the flag: it cannot
   * be read, is no text, or is too long.
   */
  read(flag: string, file: string): Promise<string>;
}

export function secretInput(stdin: NodeJS.ReadStream = process.stdin): SecretInput {
  let taken: string | undefined;
  return {
    read: async (flag, file) => {
      if (file !== '-') return textOf(await fileBytes(flag, file), `the file of ${flag}`);
      if (taken !== undefined) throw new UsageError(`${taken} and ${flag} cannot both be read from stdin`);
      taken = flag;
      return stdin.isTTY
        ? await askFor(`${flag}: `, stdin)
        : textOf(await collect(stdin), `stdin, for ${flag},`);
    },
  };
}

/** Without the newline that `echo` and editors put at the end. */
export function withoutNewline(text: string): string {
  return text.replace(/\r?\n$/, '');
}

async function fileBytes(flag: string, path: string): Promise<Buffer> {
  try {
    await using file = await open(path);
    return await collect(file.createReadStream({ autoClose: false }));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`cannot read ${path}, for ${flag}: ${why}`, { cause: error });
  }
}

async function collect(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    bytes += chunk.length;
    // What is more than allowed shows as too long.
    if (bytes > longestSecret + 2) break;
  }
  return Buffer.concat(chunks);
}

function textOf(bytes: Buffer, what: string): string {
  // A newline at the end may yet go.
  if (bytes.length > longestSecret + 2)
    throw new UsageError(`${what} has more than ${longestSecret / 1024} KiB`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new UsageError(`${what} is no text in UTF-8; encode it, as by base64`, { cause: error });
  }
}

/** Enter in any spelling, and Ctrl-D. */
const ends = ['\r', '\n', '\u0004'];
const erases = ['\u007f', '\b'];
const interrupt = '\u0003';

/** A line from a terminal that does not show it. Ctrl-C ends this process as it does everywhere. */
async function askFor(prompt: string, terminal: NodeJS.ReadStream): Promise<string> {
  process.stderr.write(prompt);
  terminal.setRawMode(true).setEncoding('utf8');
  const typed: string[] = [];
  try {
    const chunks: AsyncIterable<string> = terminal.iterator({ destroyOnReturn: false });
    for await (const chunk of chunks) {
      for (const character of chunk) {
        if (ends.includes(character)) return typed.join('');
        if (erases.includes(character)) typed.pop();
        else if (character !== interrupt) typed.push(character);
        else {
          terminal.setRawMode(false);
          process.kill(process.pid, 'SIGINT');
        }
      }
    }
    return typed.join('');
  } finally {
    terminal.setRawMode(false).pause();
    process.stderr.write('\n');
  }
}
