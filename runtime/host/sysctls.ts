import { type Finding, type Host, type Requirement, readHostFile } from './requirement.ts';

interface Sysctl {
  readonly key: string;
  readonly purpose: string;
  /** The lowest value that is safe; higher ones are stricter. */
  readonly atLeast: number;
  /** What a kernel without the key means: it has no such feature, or no such protection. */
  readonly absent: 'safe' | 'unsafe';
}

/** Where the machine keeps what `doctor --fix` set, for the next boot. */
const settings = '/etc/sysctl.d';

// The host preflight of the threat model: what strangers' builds could use of the kernel they share.
const sysctls: readonly Sysctl[] = [
  { key: 'fs.protected_symlinks', purpose: 'stops symlink races in /tmp', atLeast: 1, absent: 'unsafe' },
  { key: 'fs.protected_hardlinks', purpose: 'stops links to files of others', atLeast: 1, absent: 'unsafe' },
  { key: 'fs.protected_fifos', purpose: 'stops planted FIFOs', atLeast: 2, absent: 'unsafe' },
  { key: 'fs.protected_regular', purpose: 'stops planted files', atLeast: 2, absent: 'unsafe' },
  { key: 'kernel.kptr_restrict', purpose: 'hides kernel addresses', atLeast: 1, absent: 'unsafe' },
  { key: 'kernel.dmesg_restrict', purpose: 'hides the kernel log', atLeast: 1, absent: 'unsafe' },
  { key: 'kernel.unprivileged_bpf_disabled', purpose: 'keeps BPF to root', atLeast: 1, absent: 'safe' },
  { key: 'kernel.io_uring_disabled', purpose: 'switches io_uring off', atLeast: 2, absent: 'safe' },
];

function probeSysctl(host: Host, sysctl: Sysctl): Finding {
  const file = `/proc/sys/${sysctl.key.replaceAll('.', '/')}`;
  const value = readHostFile(host, file);
  if (value === undefined) {
    if (sysctl.absent === 'safe') return { status: 'ok', detail: 'not in this kernel' };
    const text = 'use a kernel that has it (any distribution kernel)';
    return { status: 'missing', detail: 'not in this kernel', remedy: { kind: 'advice', text } };
  }
  if (Number(value) >= sysctl.atLeast) return { status: 'ok', detail: value };
  const keep = `mkdir -p ${settings} && echo ${sysctl.key}=${sysctl.atLeast} >> ${settings}/60-cofferdam.conf`;
  const line = `echo ${sysctl.atLeast} > ${file} && ${keep}`;
  return {
    status: 'missing',
    detail: `is ${value}, must be ${sysctl.atLeast}`,
    remedy: {
      kind: 'command',
      title: `set ${sysctl.key} to ${sysctl.atLeast}`,
      args: ['sh', '-c', line],
      needsRoot: true,
    },
  };
}

/** Kernel settings without which strangers' builds should not run. */
export const sysctlRequirements: readonly Requirement[] = sysctls.map((sysctl) => ({
  id: sysctl.key,
  purpose: sysctl.purpose,
  neededFor: 'untrusted',
  probe: (host) => probeSysctl(host, sysctl),
}));
