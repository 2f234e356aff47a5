import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from '../command.ts';
import { type Finding, type Host, type Remedy, type Requirement, readHostFile } from './requirement.ts';
import { findTool } from './tools.ts';
import { atLeast } from './version.ts';

/** 5.19 brought idmapped layers to overlayfs. Before 6.5 the holder hands over layers as mount(2) options. */
const oldestKernel = '5.19';

function probeVersion(host: Host): Finding {
  if (atLeast(host.kernelRelease, oldestKernel)) return { status: 'ok', detail: host.kernelRelease };
  const text = `boot Linux ${oldestKernel} or newer (Debian 12 has 6.1)`;
  const detail = `${host.kernelRelease} is older than ${oldestKernel}`;
  return { status: 'missing', detail, remedy: { kind: 'advice', text } };
}

/** Bits of CapEff; the holder mounts, makes namespaces and id maps, and gives layers their owners. */
const capabilities = {
  CHOWN: 0,
  DAC_OVERRIDE: 1,
  FOWNER: 3,
  KILL: 5,
  SETGID: 6,
  SETUID: 7,
  NET_ADMIN: 12,
  SYS_CHROOT: 18,
  SYS_ADMIN: 21,
  MKNOD: 27,
  SETFCAP: 31,
} as const;

function probeRoot(host: Host): Finding {
  if (host.uid !== 0) {
    const text = 'run cofferdam as root (sudo); it cannot run builds without root yet';
    return { status: 'missing', detail: `running as uid ${host.uid}`, remedy: { kind: 'advice', text } };
  }
  const mask = /^CapEff:\s*([0-9a-f]+)$/m.exec(readHostFile(host, '/proc/self/status') ?? '')?.[1] ?? '0';
  const lacking = Object.entries(capabilities)
    .filter(([, bit]) => ((BigInt(`0x${mask}`) >> BigInt(bit)) & 1n) === 0n)
    .map(([name]) => `CAP_${name}`);
  if (lacking.length === 0) return { status: 'ok', detail: 'with the capabilities it takes' };
  const text = 'run outside a container, or in one with these capabilities';
  return { status: 'missing', detail: `without ${lacking.join(', ')}`, remedy: { kind: 'advice', text } };
}

const namespaceSettings = [
  { file: '/proc/sys/user/max_user_namespaces', good: (value: number) => value > 0, set: 96_000 },
  { file: '/proc/sys/kernel/unprivileged_userns_clone', good: (value: number) => value !== 0, set: 1 },
  {
    file: '/proc/sys/kernel/apparmor_restrict_unprivileged_userns',
    good: (value: number) => value === 0,
    set: 0,
  },
];

async function probeNamespaces(host: Host): Promise<Finding> {
  const kinds = [
    '--user',
    '--map-root-user',
    '--pid',
    '--fork',
    '--net',
    '--ipc',
    '--uts',
    '--cgroup',
    '--mount',
  ];
  const failure = await attempt('unshare', [...kinds, 'true']);
  if (failure === undefined) return { status: 'ok', detail: 'user, pid, net, ipc, uts, cgroup, mount' };
  const wrong = namespaceSettings.find(({ file, good }) => {
    const value = readHostFile(host, file);
    return value !== undefined && !good(Number(value));
  });
  // Never set by --fix: whoever switched user namespaces off may have meant it.
  const text = wrong
    ? `allow user namespaces: echo ${wrong.set} > ${wrong.file}`
    : 'allow user namespaces: no seccomp or LSM profile around this process';
  return { status: 'missing', detail: failure, remedy: { kind: 'advice', text } };
}

/** In a mount namespace of its own, so that nothing of it can stay behind. */
const overlayTrial = `mount -t tmpfs -o size=1m trial /mnt && cd /mnt && mkdir lower upper work merged &&
  mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work trial merged`;

async function probeOverlay(host: Host): Promise<Finding> {
  if (host.uid !== 0) return { status: 'warn', detail: 'not tried: takes root' };
  const failure = await attempt('unshare', ['--mount', 'sh', '-c', overlayTrial]);
  if (failure === undefined) return { status: 'ok', detail: 'mounted and gone' };
  const known = readHostFile(host, '/proc/filesystems')?.includes('\toverlay') ?? false;
  const text = 'let this process mount: no chroot, and no seccomp or LSM profile around it';
  return {
    status: 'missing',
    detail: failure,
    remedy: known ? { kind: 'advice', text } : loadModule(host, 'overlay'),
  };
}

function probeLoop(host: Host): Finding {
  if (existsSync(join(host.root, '/dev/loop-control'))) return { status: 'ok', detail: '/dev/loop-control' };
  return {
    status: 'missing',
    detail: 'no /dev/loop-control',
    remedy: loadModule(host, 'loop'),
  };
}

/** Now and at every boot; in a container, or where the image of one is built, only the host's owner can. */
function loadModule(host: Host, name: string): Remedy {
  if (!findTool(host, 'modprobe')) {
    return {
      kind: 'advice',
      text: `load the kernel module ${name} (modprobe ${name}); for a container, on its host`,
    };
  }
  const list = '/etc/modules-load.d';
  return {
    kind: 'command',
    title: `load the kernel module ${name}`,
    args: ['sh', '-c', `modprobe ${name} && mkdir -p ${list} && echo ${name} >> ${list}/cofferdam.conf`],
    needsRoot: true,
  };
}

function probeSeccomp(host: Host): Finding {
  const actions = readHostFile(host, '/proc/sys/kernel/seccomp/actions_avail') ?? '';
  if (actions.split(' ').includes('errno')) return { status: 'ok', detail: 'filters' };
  const text = 'use a kernel with CONFIG_SECCOMP_FILTER (any distribution kernel)';
  return { status: 'missing', detail: 'no filters', remedy: { kind: 'advice', text } };
}

/** Runs a trial; undefined when it worked, else why not. */
async function attempt(file: string, args: readonly string[]): Promise<string | undefined> {
  try {
    await run({ file, args });
    return undefined;
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}

/** What the kernel, and this process's place in it, must allow. */
export const kernelRequirements: readonly Requirement[] = [
  {
    id: 'kernel',
    purpose: 'overlay of many layers, shared by id maps',
    neededFor: 'builds',
    probe: probeVersion,
  },
  { id: 'root', purpose: 'mounts and id maps', neededFor: 'builds', probe: probeRoot },
  { id: 'namespaces', purpose: 'the walls of the sandbox', neededFor: 'builds', probe: probeNamespaces },
  {
    id: 'overlayfs',
    purpose: 'layers below, one ephemeral layer above',
    neededFor: 'builds',
    probe: probeOverlay,
  },
  { id: 'loop', purpose: 'disks of hard size', neededFor: 'builds', probe: probeLoop },
  { id: 'seccomp', purpose: 'the list of allowed system calls', neededFor: 'builds', probe: probeSeccomp },
];
