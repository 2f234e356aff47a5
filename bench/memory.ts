import { readdirSync, readFileSync } from 'node:fs';

/** Bytes that the kernel could still hand out (MemAvailable of proc(5)). */
export function availableBytes(): number {
  return kilobytes(readFileSync('/proc/meminfo', 'utf8'), 'MemAvailable') * 1024;
}

/** Processes below this one, at any depth. */
export function descendants(): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(reading(`/proc/${pid}/stat`).match(/\) \S (\d+) /)?.[1]);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const all: number[] = [];
  for (const queue = [process.pid]; queue.length > 0; ) {
    const below = children.get(queue.pop() ?? 0) ?? [];
    all.push(...below);
    queue.push(...below);
  }
  return all;
}

/** Sum over processes: resident pages, and resident pages with shared ones divided among their users. */
export function residentBytes(pids: readonly number[]): { readonly rss: number; readonly pss: number } {
  let rss = 0;
  let pss = 0;
  for (const pid of pids) {
    const rollup = reading(`/proc/${pid}/smaps_rollup`);
    rss += kilobytes(rollup, 'Rss') * 1024;
    pss += kilobytes(rollup, 'Pss') * 1024;
  }
  return { rss, pss };
}

function kilobytes(text: string, name: string): number {
  return Number(text.match(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm'))?.[1] ?? 0);
}

/** Empty when the process ended meanwhile. */
function reading(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
