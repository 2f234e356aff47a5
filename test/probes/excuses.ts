import { existsSync, readFileSync } from 'node:fs';

/** By control, why no probe can notice that it is gone. */
const always: Readonly<Record<string, string>> = {
  'newinstance of /dev/pts': 'each mount of devpts is an instance of its own since Linux 4.7',
  'mode=1777 of /dev/shm': 'tmpfs has this mode by default',
  'private of /run/.cofferdam/init': 'what is bound is private, as all of the pod is',
  'seccomp: x32 calls': 'this kernel was built without x32 calls, so they are ENOSYS anyway',
  'cgroup cpu.cfs_period_us': 'the kernel has the same by default',
};

const ofSwap = ['cgroup memory.memsw.limit_in_bytes', 'cgroup memory.swap.max'];

/** getrlimit(2) of this process, as proc_pid_limits(5) names them. */
const limitNames: Readonly<Record<string, string>> = {
  RLIMIT_CORE: 'Max core file size',
  RLIMIT_MEMLOCK: 'Max locked memory',
  RLIMIT_MSGQUEUE: 'Max msgqueue size',
  RLIMIT_NOFILE: 'Max open files',
  RLIMIT_SIGPENDING: 'Max pending signals',
};

/** The excuse of a control on this machine; undefined: there is none, and some probe must notice. */
export function excuseOf(control: string, wanted: Readonly<Record<string, number>>): string | undefined {
  const [kind = '', path = ''] = control.split(' ');
  if ((kind === 'mask' || kind === 'read-only') && !existsSync(path)) return 'this kernel has no such path';
  // A heading, and a line for each area.
  const hasSwap = readFileSync('/proc/swaps', 'utf8').trim().includes('\n');
  if (ofSwap.includes(control) && !hasSwap) return 'this machine has no swap';
  const row = limitNames[control];
  if (row !== undefined) {
    const line = readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .find((text) => text.startsWith(row));
    const [soft, hard] = line?.slice(row.length).trim().split(/\s+/).map(Number) ?? [];
    if (soft === wanted[control] && hard === wanted[control])
      return 'this process has the same limit, and passes it on';
  }
  return always[control];
}
