/** Who would be hurt, after gVisor's taxonomy of what a flaw in a sandbox is. */
export type ProbeClass = 'Escape' | 'HostLeak' | 'Exfil' | 'Lateral' | 'HostDoS' | 'PeerDoS';

/** One property of the sandbox, looked at from within by test/probes/programs. */
export interface Probe {
  /** The number of the property in the threat model, and a name. */
  readonly id: string;
  readonly class: ProbeClass;
  /** As a phrase: what a build cannot do. */
  readonly shows: string;
  /** What it reports when the property holds; see programs/probe.h. */
  readonly expected: string;
  /** What must have failed when it does not. */
  readonly control: string;
  /** `direct`: only in sandboxes that the suite makes itself, with an image of its own. */
  readonly where?: 'direct';
}

type Row = readonly [id: string, kind: ProbeClass, shows: string, expected: string, control: string];

const calls: readonly Row[] = [
  ['2-unshare', 'Escape', 'make a namespace', 'EPERM', 'seccomp: unshare'],
  ['2-clone', 'Escape', 'make a process in a new namespace', 'EPERM', 'seccomp: flags of clone'],
  ['2-clone3', 'Escape', 'hide flags of clone in memory', 'ENOSYS', 'seccomp: clone3'],
  ['2-setns', 'Escape', 'enter a namespace', 'EPERM', 'seccomp: setns'],
  ['3-mounts', 'Escape', 'mount, by the old or the new calls', 'EPERM', 'seccomp: mounts'],
  ['4-kernel-parts', 'Escape', 'use large and often broken parts of the kernel', 'EPERM', 'seccomp: refused'],
  ['4-keyrings', 'Lateral', 'use keyrings, which namespaces do not part', 'EPERM', 'seccomp: keyrings'],
  ['4-host', 'HostDoS', 'change what the host runs or how', 'EPERM', 'seccomp: refused'],
  ['4-io-uring', 'Escape', 'use io_uring', 'ENOSYS', 'seccomp: not listed'],
  ['4-unknown', 'Escape', 'make a call that nobody has looked at', 'ENOSYS', 'seccomp: not listed'],
  ['4-terminals', 'Escape', 'type into a terminal', 'EPERM', 'seccomp: ioctl'],
  ['4-personality', 'Escape', 'weaken address randomisation', 'EINVAL', 'seccomp: personality'],
  ['9-families', 'Escape', 'make sockets beyond UNIX, INET, INET6, NETLINK', '1 2 10 16', 'seccomp: socket'],
  ['9-refused-families', 'Escape', 'have modules for families loaded', 'EAFNOSUPPORT', 'seccomp: socket'],
  ['13-clocks', 'HostDoS', 'set or steer a clock', 'EPERM', 'seccomp: clocks'],
  ['0-needed', 'PeerDoS', 'miss what builds need', 'allowed', 'seccomp: allowed'],
];

const foreignCalls: readonly Row[] = [
  ['5-i386', 'Escape', 'make 32-bit calls (int 0x80), socketcall among them', 'ENOSYS', 'seccomp: arch'],
  ['5-x32', 'Escape', 'make x32 calls', 'ENOSYS', 'seccomp: x32 numbers'],
];

// capabilities(7): CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, FSETID 4, KILL 5, SETGID 6, SETUID 7, SETPCAP 8,
// NET_BIND_SERVICE 10, SYS_CHROOT 18, SETFCAP 31
const eleven = [0, 1, 3, 4, 5, 6, 7, 8, 10, 18, 31]
  .reduce((sum, bit) => sum + 2 ** bit, 0)
  .toString(16)
  .padStart(16, '0');
const no = '0'.repeat(16);
const sets = `${eleven} ${eleven} ${eleven} ${no} ${no}`;

const processes: readonly Row[] = [
  ['6-capabilities', 'Escape', 'have another capability', sets, 'capability sets'],
  ['6-no-new-privileges', 'Escape', 'gain privileges by a program', '1', 'no_new_privs'],
  ['6-set-user-id', 'Escape', 'become the owner of a program', '100', 'no_new_privs'],
  ['6-filtered', 'Escape', 'run without the filter', '2', 'seccomp'],
  ['7-ids', 'Escape', 'be an id of the host', 'own range; own range;', 'user namespace, own id range'],
  ['7-host-inode', 'Escape', 'change an inode of the host', 'EPERM', 'user namespace'],
  ['7-namespaces', 'Escape', 'share a namespace with the host', 'none', 'namespaces'],
  ['7-host-name', 'HostLeak', "see or set the host's name", 'cofferdam', 'UTS namespace'],
  ['15-descriptors', 'Escape', 'inherit a descriptor', 'none', 'close_range in init'],
  ['15-init', 'Escape', 'open what belongs to the init', 'EACCES', 'init is not dumpable'],
  ['15-init-memory', 'Escape', 'trace the init', 'EPERM', 'init is not dumpable'],
  ['26-oom-score', 'HostDoS', 'have another killed when memory is short', '500', 'oom_score_adj'],
  ['28-limits', 'HostDoS', 'have other resource limits', 'none', 'rlimits'],
  ['28-raised-limits', 'HostDoS', 'raise a resource limit', 'EPERM', 'capability SYS_RESOURCE'],
  [
    '28-bounded',
    'HostDoS',
    'lock memory, keep messages or signals in the kernel, or go before others without bound',
    'ENOMEM: mlock; EMFILE: message queues; allowed: one message queue; EAGAIN: signals; EPERM: priority real time; EACCES: oom score;',
    'rlimits, capabilities SYS_NICE and SYS_RESOURCE',
  ],
  ['28-umask', 'Lateral', 'make files that others may write by default', '022', 'umask'],
  ['30-session', 'PeerDoS', 'share a session with another command', 'own', 'setsid in init'],
  [
    '48-secrets',
    'Exfil',
    'find a secret of the platform',
    'none',
    'empty environment, mount and PID namespace',
  ],
  ['50-outside', 'Exfil', 'signal, trace or read a process outside', 'ESRCH', 'PID namespace'],
  ['50-visible', 'HostLeak', 'see processes that are not its own', 'none', 'PID namespace'],
];

const devices = 'core fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero';
const modes =
  '/dev 755 0:0; /dev/shm 1777 0:0; /dev/pts 755 0:0; /dev/pts/ptmx 666 0:0; /run/secrets 700 0:0; /tmp 1777 0:0;';

const files: readonly Row[] = [
  ['8-writable', 'Escape', 'write to a setting of the kernel', 'none', 'read-only paths, user namespace'],
  ['8-read-only', 'Escape', 'have parts of /proc writable', 'none', 'read-only paths'],
  ['10-masked', 'HostLeak', 'read what tells about the host', 'none', 'masked paths'],
  ['10-masks', 'HostLeak', 'put something else in the place of a mask', 'none', 'masked and read-only paths'],
  ['12-kernel-log', 'HostLeak', "read the kernel's log or addresses", 'none', 'capabilities, masked paths'],
  ['14-host-file', 'Exfil', 'find a file of the host', 'none', 'mount namespace, pivot_root of crun'],
  ['16-device-nodes', 'Escape', 'make a device node', 'EPERM', 'capability MKNOD, user namespace'],
  ['16-devices', 'Escape', 'have other devices', devices, '/dev is a tmpfs'],
  ['16-modes', 'Lateral', 'have other modes on what we mount', modes, 'mount options'],
  ['16-terminal', 'Lateral', 'open a terminal of another user', '/dev/pts/0 620 0:5', 'options of /dev/pts'],
  ['17-flags', 'Escape', 'have mounts with other flags, or other mounts', 'none', 'mount flags'],
  ['17-shared', 'Escape', 'have a mount appear on the host', 'none', 'private mounts'],
  ['17-kinds', 'Escape', 'have something else mounted', 'none', 'mounts'],
  [
    '17-host-paths',
    'HostLeak',
    'learn where the service keeps its data',
    'none',
    'constant paths in the pod',
  ],
  ['19-cgroups', 'HostDoS', 'see or change cgroups', 'none', 'no cgroup mount, cgroup namespace'],
  [
    '27-sizes',
    'HostDoS',
    'have larger file systems',
    'none',
    'size and inodes of the disk and of each tmpfs',
  ],
];

const network: readonly Row[] = [
  ['20-interfaces', 'Lateral', 'have an interface', 'lo', 'network namespace'],
  ['20-nowhere', 'Exfil', 'reach an address', 'ENETUNREACH', 'network namespace'],
  ['21-private', 'Lateral', 'reach a private address', 'ENETUNREACH', 'network namespace, firewall'],
  [
    '21-host',
    'Escape',
    "reach a server on the host's addresses",
    'ENETUNREACH',
    'network namespace, firewall',
  ],
  ['22-host-tcp', 'Escape', 'reach a server on a loopback of the host', 'ECONNREFUSED', 'network namespace'],
  ['22-service-tcp', 'Lateral', 'reach Redis or the API', 'ECONNREFUSED', 'network namespace'],
  ['22-host-unix', 'Escape', 'reach an abstract socket of the host', 'ECONNREFUSED', 'network namespace'],
  ['22-socket-files', 'Escape', 'find a socket of the host', 'ENOENT', 'mount namespace'],
  ['22-unix-names', 'HostLeak', 'see sockets of others', 'none', 'network namespace'],
  ['24-raw', 'Lateral', 'forge packets', 'EPERM', 'capability NET_RAW'],
  ['24-interface', 'Lateral', 'make an interface', 'EPERM', 'capability NET_ADMIN'],
  [
    '24-settings',
    'Lateral',
    'change settings of its network',
    'EACCES',
    'capability NET_ADMIN, read-only paths',
  ],
  ['26-ipc', 'Lateral', 'see memory that others share', 'none', 'IPC namespace, own /dev/mqueue'],
];

/** Of an image and source that are made for it, or seen from the host. */
const planted: readonly Row[] = [
  [
    '7-init',
    'Escape',
    'have an init with more rights than its own',
    'none',
    'user namespace, no_new_privs, seccomp',
  ],
  [
    '15-init-descriptors',
    'Escape',
    'have an init with a descriptor of the host',
    'none',
    '/dev/null in init',
  ],
  ['17-pod-mounts', 'Escape', 'have mounts below it with other flags', 'none', 'mount flags of the holder'],
  ['16-planted-nodes', 'Escape', 'open a device node of its image or source', 'EACCES', 'nodev on overlays'],
  [
    '18-lower-layer',
    'PeerDoS',
    'write to a layer that others share',
    'none',
    'overlay: layers are read-only',
  ],
];

const probe = ([id, kind, shows, expected, control]: Row): Probe => ({
  id,
  class: kind,
  shows,
  expected,
  control,
});

/** All probes of this processor's architecture. */
export const catalog: readonly Probe[] = [
  ...[...calls, ...(process.arch === 'x64' ? foreignCalls : []), ...processes, ...files, ...network].map(
    probe,
  ),
  ...planted.map((row): Probe => ({ ...probe(row), where: 'direct' })),
];

/** What is reported instead where a build has the network class `egress`; undefined: what the probe looks at is not so there. */
const withEgress: Readonly<Record<string, string | undefined>> = {
  '20-interfaces': 'lo eth0',
  '20-nowhere': undefined,
  '21-private': 'ECONNREFUSED',
  '21-host': 'ECONNREFUSED',
};

/** Whose sandbox the probes are in: the suite's own, or that of a build without a network or with one. */
export type Place = 'direct' | 'build' | 'build with egress';

/** The probes of a place, with what they report there. */
export function probesOf(place: Place): readonly Probe[] {
  const there = catalog.filter(({ where }) => place === 'direct' || where !== 'direct');
  if (place !== 'build with egress') return there;
  return there.flatMap((each) => {
    if (!(each.id in withEgress)) return [each];
    const expected = withEgress[each.id];
    return expected === undefined ? [] : [{ ...each, expected }];
  });
}
