import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { seccompFilter } from '../../../../runtime/crun/seccomp/filter.ts';
import numbers from '../../../../runtime/crun/seccomp/numbers.json' with { type: 'json' };
import { rules } from '../../../../runtime/crun/seccomp/policy.ts';
import { decode, run } from './machine.ts';

type Verdict = 'allow' | 'EPERM' | 'EINVAL' | 'ENOSYS' | 'EAFNOSUPPORT';
const verdicts = new Map<number, Verdict>([
  [0x7fff0000, 'allow'],
  [0x00050001, 'EPERM'],
  [0x00050016, 'EINVAL'],
  [0x00050026, 'ENOSYS'],
  [0x00050061, 'EAFNOSUPPORT'],
]);

// linux/audit.h
const machines = {
  x64: { arch: 0xc000003e, foreign: { i386: 0x40000003, arm64: 0xc00000b7, none: 0 } },
  arm64: { arch: 0xc00000b7, foreign: { arm: 0x40000028, x64: 0xc000003e, none: 0 } },
} as const;

describe.each(['x64', 'arm64'] as const)('the filter for %s', (name) => {
  const program = decode(seccompFilter(name));
  const { arch, foreign } = machines[name];
  const table: Record<string, number> = numbers[name];
  const ask = (number: number, ...args: bigint[]) => verdicts.get(run(program, { number, arch, args }));
  const call = (syscall: string, ...args: bigint[]) => ask(table[syscall] ?? Number.NaN, ...args);

  test('is short enough for the kernel', () => {
    expect(program.length).toBeLessThanOrEqual(4096);
  });

  test('follows the policy for every number from 0 to 600', () => {
    const policy = rules(name);
    for (let number = 0; number <= 600; number++) {
      const rule = policy.get(number);
      if (rule === undefined) expect(ask(number), `${number}`).toBe('ENOSYS');
      else if (rule === 'allow') expect(ask(number), `${number}`).toBe('allow');
      else if (rule === 'eperm') expect(ask(number), `${number}`).toBe('EPERM');
    }
  });

  // Said again, for the policy itself could be wrong.
  test.each<[Verdict, string]>([
    [
      'allow',
      'read openat execve exit_group futex mmap wait4 ptrace chroot mknodat setuid pidfd_open openat2 statx',
    ],
    ['EPERM', 'mount umount2 unshare setns pivot_root open_tree move_mount fsopen fsmount mount_setattr'],
    [
      'EPERM',
      'bpf perf_event_open userfaultfd keyctl add_key request_key open_by_handle_at process_madvise vmsplice',
    ],
    ['EPERM', 'kexec_load init_module finit_module delete_module reboot syslog swapon acct quotactl'],
    ['EPERM', 'clock_settime settimeofday adjtimex clock_adjtime sethostname setdomainname'],
    ['ENOSYS', 'clone3'],
  ])('says %s to %s', (verdict, syscalls) => {
    for (const syscall of syscalls.split(' ')) expect(call(syscall), syscall).toBe(verdict);
  });

  test('does not know io_uring', () => {
    for (const number of [425, 426, 427]) expect(ask(number)).toBe('ENOSYS');
  });

  test('knows no call of another table', () => {
    for (const [other, foreignArch] of Object.entries(foreign)) {
      for (let number = 0; number <= 600; number++) {
        expect(verdicts.get(run(program, { number, arch: foreignArch })), other).toBe('ENOSYS');
      }
    }
  });

  test('knows no x32 number and no negative one', () => {
    for (let number = 0; number <= 600; number++) expect(ask(0x40000000 + number)).toBe('ENOSYS');
    for (const number of [-1, -600, 0x3fffffff, 0x7fffffff]) expect(ask(number)).toBe('ENOSYS');
  });

  test.each<[string, bigint, Verdict]>([
    ['fork', 0x11n, 'allow'],
    ['a thread', 0x3d0f00n, 'allow'],
    ['vfork', 0x4111n, 'allow'],
    ['NEWNS', 0x00020000n, 'EPERM'],
    ['NEWCGROUP', 0x02000000n, 'EPERM'],
    ['NEWUTS', 0x04000000n, 'EPERM'],
    ['NEWIPC', 0x08000000n, 'EPERM'],
    ['NEWUSER', 0x10000000n, 'EPERM'],
    ['NEWPID', 0x20000000n, 'EPERM'],
    ['NEWNET', 0x40000000n, 'EPERM'],
    ['NEWUSER among others', 0x10000011n, 'EPERM'],
    ['the upper half, which the kernel ignores', 0x10000000_00000011n, 'allow'],
  ])('clone with %s: %#x is %s', (_, flags, verdict) => {
    expect(call('clone', flags)).toBe(verdict);
  });

  test('opens sockets of four families', () => {
    const passed = Array.from({ length: 64 }, (_, family) => family).filter(
      (family) => call('socket', BigInt(family)) === 'allow',
    );
    // AF_UNIX, AF_INET, AF_INET6, AF_NETLINK
    expect(passed).toEqual([1, 2, 10, 16]);
    expect(call('socket', 38n)).toBe('EAFNOSUPPORT');
    // The kernel takes the lower half for the family, and so must the filter.
    expect(call('socket', 0x1_00000026n)).toBe('EAFNOSUPPORT');
  });

  test.each<[bigint, Verdict]>([
    [0x5401n, 'allow'],
    [0x5412n, 'EPERM'],
    [0x541cn, 'EPERM'],
    [0x1_00005412n, 'EPERM'],
  ])('ioctl %#x is %s', (request, verdict) => {
    expect(call('ioctl', 0n, request)).toBe(verdict);
    expect(call('ioctl', request, 0n), 'the descriptor does not matter').toBe('allow');
  });

  test.each<[bigint, Verdict]>([
    [0n, 'allow'],
    [0x0020000n, 'allow'],
    [0x0040000n, 'allow'],
    [0xffffffffn, 'allow'],
    [0x0400000n, 'EINVAL'],
    [0x0000008n, 'EINVAL'],
    [0x0060000n, 'EINVAL'],
  ])('personality %#x is %s', (persona, verdict) => {
    expect(call('personality', persona)).toBe(verdict);
  });
});

// Names that the headers of this machine do not have yet are left out.
test.each([
  ['x64', '/usr/include/x86_64-linux-gnu/asm/unistd_64.h', /#define __NR_(\w+) (\d+)/g],
  ['arm64', '/usr/include/asm-generic/unistd.h', /#define __NR(?:3264)?_(\w+) (\d+)/g],
] as const)('the numbers of %s are those of %s', (name, header, pattern) => {
  const known = new Map(
    [...readFileSync(header, 'utf8').matchAll(pattern)].map(([, key, value]) => [key, Number(value)]),
  );
  const compared = Object.entries(numbers[name]).filter(([key]) => known.has(key));
  expect(compared.length).toBeGreaterThan(250);
  for (const [key, number] of compared) expect(number, key).toBe(known.get(key));
});
