import { readFileSync } from 'node:fs';
import type { Rlimit } from './spec.ts';

const rows: Record<string, string> = {
  RLIMIT_CORE: 'Max core file size',
  RLIMIT_MEMLOCK: 'Max locked memory',
  RLIMIT_MSGQUEUE: 'Max msgqueue size',
  RLIMIT_NOFILE: 'Max open files',
  RLIMIT_SIGPENDING: 'Max pending signals',
};

/**
 * The resource limits of a build's processes. A hard limit can only be lowered without CAP_SYS_RESOURCE, which root
 * in a container or under some service managers lacks, so each is cut to what this process has (getrlimit(2)).
 */
export function rlimits(openFiles: number, limits = readFileSync('/proc/self/limits', 'utf8')): Rlimit[] {
  const wanted: Rlimit[] = [
    { type: 'RLIMIT_CORE', soft: 0, hard: 0 },
    { type: 'RLIMIT_MEMLOCK', soft: 65_536, hard: 65_536 },
    { type: 'RLIMIT_MSGQUEUE', soft: 819_200, hard: 819_200 },
    { type: 'RLIMIT_NOFILE', soft: Math.min(1024, openFiles), hard: openFiles },
    { type: 'RLIMIT_SIGPENDING', soft: 4096, hard: 4096 },
  ];
  return wanted.map(({ type, soft, hard }) => {
    const row = limits.split('\n').find((line) => line.startsWith(rows[type] ?? ''));
    const current = Number(row?.match(/(\d+|unlimited)\s+\S*\s*$/)?.[1]);
    const most = Number.isNaN(current) ? hard : Math.min(hard, current);
    return { type, soft: Math.min(soft, most), hard: most };
  });
}
