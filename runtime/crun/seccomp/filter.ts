import { and, branch, encode, give, jumpIfAbove, jumpIfEqual, load, outcome, type Program } from './bpf.ts';
import { type Architecture, type Rule, rules } from './policy.ts';

const EPERM = 1;
const EINVAL = 22;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

/** AUDIT_ARCH_* of linux/audit.h. Calls of any other table (32-bit, and x32 by its number) are refused whole. */
const auditArch: Record<Architecture, number> = { x64: 0xc000003e, arm64: 0xc00000b7 };

/** struct seccomp_data: nr, arch, instruction pointer, six 64-bit arguments. */
const at = { number: 0, arch: 4, argument: (index: number) => 16 + 8 * index };

const allow: Program = [give(outcome.allow)];
const refuse = (errno: number): Program => [give(outcome.errno(errno))];

/** CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}; clone has no NEWTIME. clone3 hides its flags in memory, so it is ENOSYS as a whole. */
const namespaceFlags = 0x7e020000;

const leaf: Record<Rule, Program> = {
  allow,
  eperm: refuse(EPERM),
  clone: [load(at.argument(0)), and(namespaceFlags), jumpIfEqual(0, 0, 1), ...allow, ...refuse(EPERM)],
  // UNIX, INET, INET6, NETLINK: no AF_ALG, AF_VSOCK, AF_PACKET, AF_XDP and whatever comes.
  socket: [
    load(at.argument(0)),
    jumpIfEqual(1, 4, 0),
    jumpIfEqual(2, 3, 0),
    jumpIfEqual(10, 2, 0),
    jumpIfEqual(16, 1, 0),
    ...refuse(EAFNOSUPPORT),
    ...allow,
  ],
  // PER_LINUX, UNAME26, ADDR_NO_RANDOMIZE (gdb), and the query; not READ_IMPLIES_EXEC and not foreign tables.
  personality: [
    load(at.argument(0)),
    jumpIfEqual(0, 4, 0),
    jumpIfEqual(0x0020000, 3, 0),
    jumpIfEqual(0x0040000, 2, 0),
    jumpIfEqual(0xffffffff, 1, 0),
    ...refuse(EINVAL),
    ...allow,
  ],
  // TIOCSTI and TIOCLINUX push input into a terminal (CVE-2017-5226, CVE-2023-28100).
  ioctl: [
    load(at.argument(1)),
    jumpIfEqual(0x5412, 2, 0),
    jumpIfEqual(0x541c, 1, 0),
    ...allow,
    ...refuse(EPERM),
  ],
};

/**
 * The filter as BPF bytes: the architecture, then a binary search over runs of numbers with one rule.
 * Written by us, not by libseccomp: that drops names it does not know without a word, and crun would compile
 * the same list again for each container, which takes longer than everything else together.
 */
export function seccompFilter(architecture: Architecture): Buffer {
  const segments = runsOf(rules(architecture));
  return encode([
    load(at.arch),
    jumpIfEqual(auditArch[architecture], 1, 0),
    ...refuse(ENOSYS),
    load(at.number),
    // x32 numbers, and negative ones.
    jumpIfAbove(0x3fffffff, 0, 1),
    ...refuse(ENOSYS),
    ...search(segments),
  ]);
}

interface Segment {
  readonly from: number;
  readonly program: Program;
}

function runsOf(table: ReadonlyMap<number, Rule>): Segment[] {
  const segments: Segment[] = [];
  const missing = refuse(ENOSYS);
  const last = Math.max(...table.keys()) + 1;
  for (let number = 0; number <= last; number++) {
    const rule = table.get(number);
    const program = rule ? leaf[rule] : missing;
    if (segments.at(-1)?.program !== program) segments.push({ from: number, program });
  }
  return segments;
}

function search(segments: readonly Segment[]): Program {
  const middle = segments.length >> 1;
  const first = segments[0];
  const split = segments[middle];
  if (!first || !split || middle === 0) return first?.program ?? refuse(ENOSYS);
  return branch(split.from, search(segments.slice(0, middle)), search(segments.slice(middle)));
}
