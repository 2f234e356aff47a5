import { existsSync } from 'node:fs';
import { copyFile, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from '../runtime/command.ts';
import type { Site } from './site.ts';

/** Work that builds do. The scripts find `sqlite3.c` and `tree.tar` in $source and write to where they are started. */
export interface Workload {
  /** What $source holds. */
  readonly source: string;
  readonly works: readonly Work[];
}

export interface Work {
  readonly what: string;
  readonly script: string;
  /** How many times the cost outside it may take. */
  readonly limit: number;
}

/** The SQLite amalgamation, 250,000 lines in one file, comes in this package. */
const amalgamation = { package: 'better-sqlite3@13.2.0', file: 'package/deps/sqlite3/sqlite3.c' };

/** The image's files up to this size, twice: some 25,000 entries, 200 MB. */
const largestFile = '64k';

/** Fetches and packs what the works need. Throws CommandError: npm finds no registry, say. */
export async function workload({ cache, scratch, root, progress }: Site): Promise<Workload> {
  const source = join(scratch, 'source');
  await mkdir(source, { recursive: true });
  const code = join(cache, 'sqlite3.c');
  if (!existsSync(code)) {
    progress(`fetching ${amalgamation.package}`);
    await fetchCode(code, scratch);
  }
  await copyFile(code, join(source, 'sqlite3.c'));
  const pack = `cd "$1"; find . -type f -size -${largestFile} -o -type d -o -type l |
    tar --no-recursion -T - -cf "$2"`;
  await run({ file: 'sh', args: ['-euc', pack, 'sh', root, join(source, 'tree.tar')] });
  return {
    source,
    works: [
      {
        what: 'compile SQLite',
        script: 'gcc -O0 -c "$source/sqlite3.c" -o sqlite3.o; rm sqlite3.o',
        limit: 1.03,
      },
      {
        what: 'untar, read and delete 25,000 files',
        script: `for copy in a b; do mkdir $copy; tar --no-same-owner -C $copy -xf "$source/tree.tar"; done
          find a b -type f -print0 | xargs -0 cat >/dev/null
          rm -rf a b`,
        limit: 1.15,
      },
    ],
  };
}

async function fetchCode(target: string, scratch: string): Promise<void> {
  const { stdout } = await run({
    file: 'npm',
    args: ['pack', '--silent', '--ignore-scripts', '--pack-destination', scratch, amalgamation.package],
    cwd: scratch,
  });
  const archive = join(scratch, stdout.toString().trim());
  await run({ file: 'tar', args: ['-C', scratch, '-xzf', archive, amalgamation.file] });
  await rename(join(scratch, amalgamation.file), target);
}
