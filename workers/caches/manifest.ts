import { lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../runtime/command.ts';

/**
 * What a snapshot held when it was made, so that damage on the disk is seen: kind, size, owner, permission bits, time of
 * change and path of each entry.
 */

/** Entries that are compared each time a snapshot is used: enough to see damage of one in a hundred surely. */
const sampled = 512;
/** How long a comparison of all entries holds, if the machine was not started since. */
const comparedMs = 24 * 3_600_000;

const files = { entries: 'entries', sample: 'sample.json', compared: 'compared.json' } as const;

/**
 * Notes what is in `tree` below the directory.
 * @param listing what listTree() would give, if that is known
 */
export async function writeManifest(directory: string, listing?: Buffer): Promise<void> {
  const entries = listing ?? (await listTree(directory));
  const lines = linesOf(entries);
  const step = Math.max(1, lines.length / sampled);
  const sample = Array.from(
    { length: Math.min(lines.length, sampled) },
    (_, i) => lines[Math.floor(i * step)],
  );
  writeFileSync(join(directory, files.entries), entries);
  writeFileSync(join(directory, files.sample), JSON.stringify(sample));
  markCompared(directory);
}

/**
 * Whether a snapshot is as it was: all of it once a day and after each start of the machine, which may have lost what was
 * not on the disk yet; a sample of it otherwise. Contents are not read: a change that leaves size and time as they were
 * is not seen.
 */
export async function isIntact(directory: string): Promise<boolean> {
  try {
    if (!wasCompared(directory)) {
      const now = await listTree(directory);
      const then = readFileSync(join(directory, files.entries));
      if (!now.equals(then) && linesOf(now).sort().join('\0') !== linesOf(then).sort().join('\0'))
        return false;
      markCompared(directory);
      return true;
    }
    const sample: readonly string[] = JSON.parse(readFileSync(join(directory, files.sample), 'utf8'));
    return sample.length > 0 && sample.every((line) => line === lineOf(directory, line));
  } catch {
    // A manifest that cannot be read, or an entry that is gone.
    return false;
  }
}

/** One entry a line, which ends in NUL; bytes that are no text stay what they are. Throws CommandError. */
async function listTree(directory: string): Promise<Buffer> {
  const args = [join(directory, 'tree'), '-printf', '%y %s %U %G %m %T@ %P\\0'];
  const { stdout } = await run(
    { file: 'find', args, env: { PATH: toolPath, LC_ALL: 'C' } },
    { maxStdout: maxBytes },
  );
  return stdout;
}

const toolPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const maxBytes = 1024 ** 3;

function linesOf(entries: Buffer): string[] {
  return entries.toString('latin1').split('\0').slice(0, -1);
}

/** The line of an entry as it is now. */
function lineOf(directory: string, line: string): string | undefined {
  const path = line.split(' ').slice(6).join(' ');
  const file = Buffer.concat([Buffer.from(`${join(directory, 'tree')}/`), Buffer.from(path, 'latin1')]);
  const stats = lstatSync(file, { bigint: true });
  const kind = stats.isDirectory() ? 'd' : stats.isSymbolicLink() ? 'l' : stats.isFile() ? 'f' : '?';
  const seconds = stats.mtimeNs / 1_000_000_000n;
  const rest = String(stats.mtimeNs % 1_000_000_000n).padStart(9, '0');
  const mode = (stats.mode & 0o7777n).toString(8);
  // find(1) writes ten decimals.
  return `${kind} ${stats.size} ${stats.uid} ${stats.gid} ${mode} ${seconds}.${rest}0 ${path}`;
}

function wasCompared(directory: string): boolean {
  const { boot, at } = JSON.parse(readFileSync(join(directory, files.compared), 'utf8'));
  return boot === bootId() && Math.abs(Date.now() - at) < comparedMs;
}

function markCompared(directory: string): void {
  writeFileSync(join(directory, files.compared), JSON.stringify({ boot: bootId(), at: Date.now() }));
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
}
