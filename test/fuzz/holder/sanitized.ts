import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../../runtime/command.ts';

/** The holder as AddressSanitizer and UndefinedBehaviorSanitizer see it. */
export interface SanitizedHolder {
  readonly file: string;
  /** What they found since this was asked for last, in their words. */
  findings(): string[];
}

const sources = join(import.meta.dirname, '../../../runtime/crun/holder');

/** What a holder ends with that a sanitizer stopped; holder/sanitizers.c says it too. */
export const stoppedStatus = 86;

/** Compiles it into a directory, in about 2 s. It is linked to the C library: an empty root has none, so it reads there no files. */
export async function compileSanitized(directory: string): Promise<SanitizedHolder> {
  const file = join(directory, 'holder');
  const logs = join(directory, 'findings');
  mkdirSync(logs, { mode: 0o777 });
  const flags = '-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all';
  const script = `umask 0; chmod 1777 "$2"
    exec cc ${flags} -static-libasan -static-libubsan "-DLOGS=\\"$2/found\\"" -o "$1" "$3"/*.c "$4"`;
  const own = join(import.meta.dirname, 'sanitizers.c');
  await run({ file: 'sh', args: ['-euc', script, 'sh', file, logs, sources, own] });
  return {
    file,
    findings: () =>
      readdirSync(logs).map((name) => {
        const text = readFileSync(join(logs, name), 'utf8');
        rmSync(join(logs, name));
        return text;
      }),
  };
}
