import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { atLeast } from '../../runtime/host/version.ts';
import type { Weakening } from './assembly.ts';
import type { Bench } from './bench.ts';

/** How one call ends in a sandbox when all its arguments are 0. */
interface Entry {
  readonly number: number;
  readonly name: string;
  /** `allowed`, `blocks`, a signal, or the name of an error (programs/table.c); several, of kernels that differ, with `/` between. */
  readonly outcome: string;
  /** The first Linux that has the call; earlier ones answer ENOSYS. */
  readonly since?: string;
  /** Why, where that is not plain. */
  readonly comment?: string;
}

/** Calls of this processor's own table that a reviewer has looked at; the others of its kernel are all `foreign`. */
export const tableFile = join(import.meta.dirname, `syscalls-${process.arch}.txt`);

/** What `probe syscalls` prints in a sandbox; about a second. */
export async function callAll(bench: Bench, weakening?: Weakening): Promise<string> {
  // A call may leave a process behind for a moment.
  const { exit, output } = await bench.script('./probe syscalls', { weakening, limits: { pids: 1000 } });
  if (exit.code !== 0 || exit.reason !== 'exit') throw new Error(`calling all: ${exit.reason} ${exit.code}`);
  return output;
}

/** What every number of the 32-bit and the x32 table must answer. */
const foreign = 'ENOSYS';

const line =
  /^(?<number>\d+) +(?<name>\S+) +(?<outcome>[^\s#]+(?: [a-z]+)?)(?: +since (?<since>[\d.]+))?(?: +# (?<comment>.*))?$/;

export function parseTable(text: string): Map<number, Entry> {
  const entries = text
    .split('\n')
    .filter((row) => row && !row.startsWith('#'))
    .map((row): Entry => {
      const { number, name, outcome, since, comment } = line.exec(row)?.groups ?? {};
      if (number === undefined || name === undefined || outcome === undefined)
        throw new SyntaxError(`not a line of a table of system calls: ${row}`);
      return {
        number: Number(number),
        name,
        outcome,
        ...(since !== undefined && { since }),
        ...(comment !== undefined && { comment }),
      };
    });
  return new Map(entries.map((entry) => [entry.number, entry]));
}

/** What `probe syscalls` printed, as table, number and outcome. */
function answers(output: string): { table: string; number: number; outcome: string }[] {
  return [...output.matchAll(/^(native|i386|x32) (\d+) (.+)$/gm)].map(
    ([, table = '', number = '', outcome = '']) => ({ table, number: Number(number), outcome }),
  );
}

/** A call that does not end as the table says. */
export interface Difference {
  /** Its number, name, and what was and is. */
  readonly text: string;
  /** `opened`: it was refused and is no longer. `other`: perhaps this kernel was configured in another way. */
  readonly kind: 'opened' | 'other';
}

const isRefused = (outcome: string | undefined) => outcome === 'ENOSYS' || outcome === 'EPERM';

const isOf = (entry: Entry, outcome: string): boolean => entry.outcome.split('/').includes(outcome);

export function differences(output: string, kernel = release()): Difference[] {
  const table = parseTable(readFileSync(tableFile, 'utf8'));
  const got = answers(output);
  const seen = new Set(got.filter((each) => each.table === 'native').map(({ number }) => number));
  const missing = [...table.keys()].filter((number) => !seen.has(number));
  return [
    ...got.flatMap(({ table: name, number, outcome }) => {
      const entry: Entry | undefined =
        name === 'native' ? table.get(number) : { number, name, outcome: foreign };
      if (entry && isOf(entry, outcome)) return [];
      if (entry?.since !== undefined && outcome === 'ENOSYS' && !atLeast(kernel, entry.since)) return [];
      const was = entry?.outcome ?? 'not in the table';
      return {
        text: `${number} ${entry?.name ?? 'unknown'}: was ${was}, is ${outcome}`,
        kind: isRefused(entry?.outcome ?? foreign) && !isRefused(outcome) ? 'opened' : 'other',
      } satisfies Difference;
    }),
    ...missing.map((number) => ({
      text: `${number} ${table.get(number)?.name}: was not called`,
      kind: 'opened' as const,
    })),
  ];
}

/** The table anew, with the comments and versions of the old one. */
export function renderTable(output: string, names: ReadonlyMap<number, string>): string {
  const old = parseTable(readFileSync(tableFile, 'utf8'));
  const rows = answers(output)
    .filter(({ table }) => table === 'native')
    .map(({ number, outcome: seen }) => {
      const before = old.get(number);
      const { name: oldName = '-', since, comment } = before ?? {};
      const outcome = before && isOf(before, seen) ? before.outcome : seen;
      const name = oldName === '-' ? (names.get(number) ?? '-') : oldName;
      const start = `${String(number).padEnd(3)} ${name.padEnd(23)} ${outcome}`;
      const version = since === undefined ? '' : `  since ${since}`;
      return `${start}${version}${comment === undefined ? '' : `  # ${comment}`}`;
    });
  return `${heading}\n${rows.join('\n')}\n`;
}

const heading = `# How each system call of ${process.arch} ends in a sandbox when all its arguments are 0: test/probes/programs/table.c calls them.
# NUMBER NAME OUTCOME[/OUTCOME...] [since FIRST-LINUX-THAT-HAS-IT] [# WHY]. Several outcomes are those of kernels that were
# configured in different ways. A call that is allowed may fail with an error of its own; ENOSYS and EPERM are the filter's
# answers, but where a comment says otherwise. "npm run probes -- --write-syscalls" writes it anew; look at every line that changes. sync (162) is not called.`;

/** Names by number, from the C library's headers: lines such as `#define __NR_read 0`. */
export function namesOf(header: string): Map<number, string> {
  return new Map(
    [...header.matchAll(/^#define __NR_(\w+) (\d+)$/gm)].map(([, name = '', number]) => [
      Number(number),
      name,
    ]),
  );
}
