import { appendFileSync, mkdirSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { styleText } from 'node:util';

interface Said {
  /** pino's: 30 info, 40 warn, 50 error. */
  readonly level: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

interface Entry extends Said {
  readonly process: string;
}

/** The one log of `cofferdam up` and its processes. */
export interface Journal {
  /** Takes a line that a process wrote: an entry of pino, or anything else, which counts as an error. */
  line(process: string, line: string): Entry;
  info(message: string, fields?: object): void;
  error(message: string, fields?: object): void;
}

const largestBytes = 64 * 1024 ** 2;

/**
 * Appends to a file, one JSON document a line, as pino writes them; past 64 MiB the file becomes `<file>.1` and a new
 * one begins. A file that cannot be written to is no reason to stop.
 * @param show gets each entry as a line for people; `isError`: also for those who do not want to see everything
 */
export function openJournal(file: string, show: (text: string, isError: boolean) => void): Journal {
  mkdirSync(dirname(file), { recursive: true });
  let bytes = statSync(file, { throwIfNoEntry: false })?.size ?? 0;
  let broken = false;
  const append = (entry: Entry) => {
    const text = `${JSON.stringify(entry)}\n`;
    try {
      if (bytes > largestBytes) {
        renameSync(file, `${file}.1`);
        bytes = 0;
      }
      appendFileSync(file, text, { mode: 0o600 });
      bytes += Buffer.byteLength(text);
      broken = false;
    } catch (error) {
      if (!broken) {
        show(`cannot write to ${file}: ${error instanceof Error ? error.message : String(error)}\n`, true);
      }
      broken = true;
    }
    show(shown(entry), entry.level >= 50);
    return entry;
  };
  const own = (level: number) => (msg: string, fields?: object) =>
    void append({ level, time: Date.now(), process: 'up', ...fields, msg });

  return {
    line: (process, line) => append({ ...parsed(line), process }),
    info: own(30),
    error: own(50),
  };
}

function parsed(line: string): Said {
  try {
    const entry: Partial<Said> | null = JSON.parse(line);
    if (entry?.level !== undefined && entry.time !== undefined) {
      return { ...entry, level: entry.level, time: entry.time, msg: entry.msg ?? '' };
    }
  } catch {
    // What a process says when it breaks is no JSON.
  }
  return { level: 50, time: Date.now(), msg: line };
}

const uninteresting = ['level', 'time', 'process', 'msg', 'pid', 'hostname', 'name', 'v'];

/** `12:05:09 serve  listening url=http://127.0.0.1:8080` */
function shown(entry: Entry): string {
  const fields = Object.entries(entry)
    .filter(([name]) => !uninteresting.includes(name))
    .map(([name, value]) => ` ${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const style = entry.level >= 50 ? 'red' : entry.level >= 40 ? 'yellow' : 'reset';
  const paint = (as: 'dim' | typeof style, text: string) =>
    styleText(as, text.replaceAll(/\p{Cc}+/gu, ' '), { stream: process.stderr });
  const time = new Date(entry.time).toISOString().slice(11, 19);
  return `${paint('dim', time)} ${entry.process.padEnd(6)} ${paint(style, entry.msg)}${paint('dim', fields.join(''))}\n`;
}
