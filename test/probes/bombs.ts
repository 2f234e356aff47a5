import type { Exit, Limits } from '../../runtime/sandbox.ts';
import type { Bench } from './bench.ts';

/** A build that takes all it can get of something; see programs/bombs.c. */
export interface Bomb {
  readonly name: string;
  /** The number of the property in the threat model. */
  readonly id: 25 | 26 | 27 | 28 | 29 | 30;
  readonly takes: string;
  /** Why its command ended, as the kernel tells; `exit`: it was refused more, and lived. */
  readonly verdict: Exit['reason'];
}

const MiB = 1024 ** 2;

const limits: Partial<Limits> = {
  cpus: 1,
  memoryBytes: 96 * MiB,
  diskBytes: 32 * MiB,
  diskInodes: 5000,
  pids: 64,
};

export const bombs: readonly Bomb[] = [
  { name: 'fork', id: 25, takes: 'processes', verdict: 'pids' },
  { name: 'threads', id: 25, takes: 'threads', verdict: 'pids' },
  { name: 'vfork', id: 25, takes: 'turns of vfork', verdict: 'exit' },
  { name: 'memory', id: 26, takes: 'anonymous memory', verdict: 'oom' },
  { name: 'shm', id: 26, takes: '/dev/shm', verdict: 'oom' },
  { name: 'memfd', id: 26, takes: 'files in memory', verdict: 'oom' },
  { name: 'sysv', id: 26, takes: 'SysV shared memory', verdict: 'oom' },
  { name: 'sockets', id: 26, takes: 'buffers of sockets', verdict: 'oom' },
  { name: 'pipes', id: 26, takes: 'buffers of pipes', verdict: 'exit' },
  { name: 'cache', id: 26, takes: 'cached files', verdict: 'exit' },
  { name: 'locked', id: 26, takes: 'locked memory', verdict: 'exit' },
  { name: 'inotify', id: 26, takes: 'watches of files', verdict: 'exit' },
  { name: 'disk', id: 27, takes: 'disk', verdict: 'disk' },
  { name: 'inodes', id: 27, takes: 'files', verdict: 'disk' },
  { name: 'deep', id: 27, takes: 'directories in directories', verdict: 'disk' },
  { name: 'sparse', id: 27, takes: 'sparse files of a terabyte', verdict: 'exit' },
  { name: 'links', id: 27, takes: 'hard links', verdict: 'exit' },
  { name: 'fds', id: 28, takes: 'descriptors', verdict: 'exit' },
  { name: 'epoll', id: 28, takes: 'nested epolls', verdict: 'exit' },
  { name: 'timers', id: 28, takes: 'timers', verdict: 'exit' },
  { name: 'locks', id: 28, takes: 'locks of files', verdict: 'exit' },
  { name: 'log', id: 29, takes: 'the log', verdict: 'exit' },
  { name: 'line', id: 29, takes: 'the log, without a newline', verdict: 'exit' },
  { name: 'sleepers', id: 30, takes: 'daemons that ignore all signals', verdict: 'exit' },
  { name: 'spin', id: 30, takes: 'processor time', verdict: 'exit' },
];

/** One command that does so, in a sandbox that is gone when this resolves. */
export const explode = (bench: Bench, { name }: Bomb) => bench.script(`./probe bomb ${name}`, { limits });

/** Medians of a neighbour's work in milliseconds, without its waits for a processor: quiet, and beside a build that does so again and again. */
export interface Slowdown {
  readonly quietMs: number;
  readonly besideMs: number;
}

const mostSlowdown = 1.5;
const fewestTurns = 3;
/** Others use this machine too, and what they do spoils a turn or two. */
const mostTurns = 15;

/** Measures in turns, quiet and beside; as many as it takes to be not slowed, within bounds. */
export async function slowdown(bench: Bench, { name }: Bomb): Promise<Slowdown> {
  const quiet: number[] = [];
  const beside: number[] = [];
  const medians = (): Slowdown => ({ quietMs: median(quiet), besideMs: median(beside) });
  while (quiet.length < fewestTurns || (quiet.length < mostTurns && isSlowed(medians()))) {
    quiet.push(await work(bench));
    const ended = new AbortController();
    const bomb = bench
      .script(`while true; do ./probe bomb ${name}; done`, { limits, signal: ended.signal })
      .catch(() => {});
    beside.push(await work(bench));
    ended.abort();
    await bomb;
  }
  return medians();
}

export const isSlowed = ({ quietMs, besideMs }: Slowdown): boolean => besideMs > quietMs * mostSlowdown;

const median = (values: readonly number[]): number =>
  values.toSorted((one, other) => one - other)[values.length >> 1] ?? Number.NaN;

async function work(bench: Bench): Promise<number> {
  const { output } = await bench.script('./probe neighbour', { limits: { cpus: 1 } });
  const milliseconds = Number(output);
  if (!Number.isFinite(milliseconds) || output === '') throw new Error(`the neighbour failed: ${output}`);
  return milliseconds;
}
