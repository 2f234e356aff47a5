import { existsSync, readFileSync } from 'node:fs';

/** Why no probe can notice that a control is gone. */
export interface Excuse {
  readonly reason: string;
  /** The control that does the work, and which must be noticed itself. */
  readonly heldBy?: string;
}

const always: Readonly<Record<string, Excuse>> = {
  'newinstance of /dev/pts': { reason: 'each mount of devpts is an instance of its own since Linux 4.7' },
  'mode=1777 of /dev/shm': { reason: 'tmpfs has this mode by default' },
  'private of /run/.cofferdam/init': { reason: 'what is bound is private, as all of the pod is' },
  'private of /workspace': { reason: 'what is bound is private, as all of the pod is' },
  // crun 1.8 changes the flags of a bind mount only together with `ro`.
  'nosuid of /workspace': {
    reason: 'the overlay that is bound has the flag',
    heldBy: 'holder: nosuid of the workspace',
  },
  'nodev of /workspace': {
    reason: 'the overlay that is bound has the flag',
    heldBy: 'holder: nodev of overlays',
  },
  'seccomp: x32 calls': { reason: 'this kernel was built without x32 calls, so they are ENOSYS anyway' },
  'cgroup cpu.cfs_period_us': { reason: 'the kernel has the same by default' },
  'cgroup memory.memsw.limit_in_bytes': { reason: 'without swap it bounds nothing more than the memory' },
  'cgroup memory.swap.max': { reason: 'without swap there is nothing to bound' },
};

/** getrlimit(2) of this process, as proc_pid_limits(5) names them. */
const limitNames: Readonly<Record<string, string>> = {
  RLIMIT_CORE: 'Max core file size',
  RLIMIT_MEMLOCK: 'Max locked memory',
  RLIMIT_MSGQUEUE: 'Max msgqueue size',
  RLIMIT_NOFILE: 'Max open files',
  RLIMIT_SIGPENDING: 'Max pending signals',
};

/** The excuse of a control on this machine; undefined: there is none, and some probe must notice. */
export function excuseOf(control: string, wanted: Readonly<Record<string, number>>): Excuse | undefined {
  const [kind = '', path = ''] = control.split(' ');
  if ((kind === 'mask' || kind === 'read-only') && !existsSync(path))
    return { reason: 'this kernel has no such path' };
  const row = limitNames[control];
  if (row !== undefined) {
    const line = readFileSync('/proc/self/limits', 'utf8')
      .split('\n')
      .find((text) => text.startsWith(row));
    const [soft, hard] = line?.slice(row.length).trim().split(/\s+/).map(Number) ?? [];
    if (soft === wanted[control] && hard === wanted[control])
      return { reason: 'this process has the same limit, and passes it on' };
  }
  return always[control];
}
