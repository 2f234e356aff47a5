import {
  encode,
  give,
  type Instruction,
  jumpIfAbove,
  jumpIfEqual,
  load,
  outcome,
} from '../../runtime/crun/seccomp/bpf.ts';
import numbers from '../../runtime/crun/seccomp/numbers.json' with { type: 'json' };

/** A filter with one hole; both in base64. */
export interface Opening {
  readonly id: string;
  readonly open: (filter: string) => string;
}

const table: Record<string, number> = process.arch === 'arm64' ? numbers.arm64 : numbers.x64;

/** struct seccomp_data; AUDIT_ARCH_* of linux/audit.h. */
const at = { number: 0, arch: 4 };
const i386 = 0x40000003;
const native = process.arch === 'arm64' ? 0xc00000b7 : 0xc000003e;

/** What the policy refuses, by subject: calls that some kernel would do, or refuse otherwise. */
export const groups: Readonly<Record<string, string>> = {
  unshare: 'unshare',
  setns: 'setns',
  'flags of clone': 'clone',
  clone3: 'clone3',
  'old mounts': 'mount umount2 pivot_root',
  'new mounts': 'open_tree open_tree_attr move_mount fsopen fsconfig fsmount fspick mount_setattr',
  bpf: 'bpf',
  perf_event_open: 'perf_event_open',
  userfaultfd: 'userfaultfd',
  keyrings: 'keyctl add_key request_key',
  'file handles': 'open_by_handle_at',
  'memory of others': 'process_madvise vmsplice kcmp',
  fanotify: 'fanotify_init fanotify_mark',
  'memory placement': 'mbind set_mempolicy set_mempolicy_home_node move_pages migrate_pages',
  modules: 'init_module finit_module delete_module',
  kexec: 'kexec_load kexec_file_load',
  'host state': 'reboot swapon swapoff acct quotactl quotactl_fd syslog vhangup sethostname setdomainname',
  ports: 'iopl ioperm',
  'old calls': 'ustat uselib lookup_dcookie nfsservctl',
  clocks: 'clock_settime settimeofday adjtimex clock_adjtime',
  'families of socket': 'socket',
  'requests of ioctl': 'ioctl',
  'bits of personality': 'personality',
  io_uring: 'io_uring_setup io_uring_enter io_uring_register',
  'what is not listed': 'modify_ldt sysfs',
};

/** Instructions before a filter: what they do not allow falls through to it. */
const before = (first: readonly Instruction[]) => (filter: string) =>
  Buffer.concat([encode(first), Buffer.from(filter, 'base64')]).toString('base64');

const allow = give(outcome.allow);

/** Numbers that numbers.json lacks because no policy names them. */
const unnamed: Record<string, number> =
  process.arch === 'arm64'
    ? { io_uring_setup: 425, io_uring_enter: 426, io_uring_register: 427, clone3: 435 }
    : {
        io_uring_setup: 425,
        io_uring_enter: 426,
        io_uring_register: 427,
        clone3: 435,
        modify_ldt: 154,
        sysfs: 139,
      };

/** One for each group of calls, and for what keeps foreign tables out. */
export function openings(): Opening[] {
  const calls = Object.entries(groups).flatMap(([id, names]): Opening[] => {
    const open = names.split(' ').flatMap((name) => table[name] ?? unnamed[name] ?? []);
    if (open.length === 0) return [];
    const first = open.flatMap((number) => [jumpIfEqual(number, 0, 1), allow]);
    const numbersOnly = [load(at.arch), jumpIfEqual(native, 0, first.length + 1), load(at.number)];
    return [{ id, open: before([...numbersOnly, ...first]) }];
  });
  if (process.arch !== 'x64') return calls;
  return [
    ...calls,
    { id: '32-bit calls', open: before([load(at.arch), jumpIfEqual(i386, 0, 1), allow]) },
    // Not negative numbers, which mark a call that a tracer skipped.
    {
      id: 'x32 calls',
      open: before([load(at.number), jumpIfAbove(0x7fffffff, 2, 0), jumpIfAbove(0x3fffffff, 0, 1), allow]),
    },
  ];
}
