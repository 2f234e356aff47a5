import { SandboxError } from '../../runtime/sandbox.ts';
import type { Weakening } from './assembly.ts';
import type { Bench } from './bench.ts';

/** A probe that uses something up, in a sandbox of its own with little of it. */
export interface Use {
  readonly id: string;
  readonly shows: string;
  readonly expected: string;
  readonly control: string;
  run(bench: Bench, weakening?: Weakening): Promise<string>;
}

const MiB = 1024 ** 2;

const refusal = (error: unknown): string => {
  if (error instanceof SandboxError) return error.message;
  throw error;
};

/** A limit of the cgroups each, looked at by what the kernel refuses or counts. */
export const uses: readonly Use[] = [
  {
    id: '25-processes',
    shows: 'have more processes than its limit',
    expected: 'pids',
    control: 'cgroup pids',
    run: (bench, weakening) =>
      bench
        .script('for i in $(seq 1 40); do (sleep 0.5 &); done; exit 0', { weakening, limits: { pids: 20 } })
        .then(({ exit }) => exit.reason, refusal),
  },
  {
    id: '26-memory',
    shows: 'use more memory than its limit',
    expected: 'oom',
    control: 'cgroup memory',
    run: (bench, weakening) =>
      bench
        .script('head -c 200M /dev/zero | tail -c 200M >/dev/null; exit 0', {
          weakening,
          limits: { memoryBytes: 64 * MiB, diskBytes: 16 * MiB },
        })
        .then(({ exit }) => exit.reason, refusal),
  },
  {
    id: '30-processor',
    shows: 'use more processor time than its limit',
    expected: 'bounded, and counted',
    control: 'cgroup cpu',
    run: (bench, weakening) =>
      bench
        .script('timeout 1 sh -c "while :; do :; done"; times', { weakening, limits: { cpus: 0.1 } })
        .then(({ output, cpuSeconds }) => {
          // `times` of sh: its own, then its children's, user and system as 0m0.100000s.
          const children = output.split('\n')[1] ?? '';
          const used = [...children.matchAll(/(\d+)m([\d.]+)s/g)].reduce(
            (sum, [, minutes, seconds]) => sum + Number(minutes) * 60 + Number(seconds),
            0,
          );
          const bounded = used < 0.3 ? 'bounded' : `${used} s of one`;
          return `${bounded}, ${cpuSeconds > used / 2 ? 'and counted' : 'not counted'}`;
        }, refusal),
  },
];
