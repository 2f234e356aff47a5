/** The OCI runtime config of our containers. Pure; the reasons are in docs/security.md. */

import { secretsDirectory } from '../secret-files.ts';

export interface SpecOptions {
  /** Where the pod mounts everything; the same for all sandboxes, so the config does not depend on the build. */
  readonly mount: string;
  /** The holder, seen inside as the container's init. */
  readonly holder: string;
  /** In this order: what is below another comes after it. */
  readonly places: readonly Place[];
  readonly seccomp: Buffer;
  readonly rlimits: readonly Rlimit[];
  /** Processors of the host, for the paths that name each of them. */
  readonly processors: number;
}

/** A directory of the pod that a container sees. */
export interface Place {
  /** Relative to the mount. */
  readonly source: string;
  readonly path: string;
  readonly access: 'rw' | 'ro';
}

export interface Rlimit {
  readonly type: string;
  readonly soft: number;
  readonly hard: number;
}

/** Inside the container. */
export const initPath = '/run/.cofferdam/init';

/** What a package build as root needs, and nothing more (docs/security.md says what each is for). */
const capabilities = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FOWNER',
  'CAP_FSETID',
  'CAP_KILL',
  'CAP_NET_BIND_SERVICE',
  'CAP_SETFCAP',
  'CAP_SETGID',
  'CAP_SETPCAP',
  'CAP_SETUID',
  'CAP_SYS_CHROOT',
];

/** Files of the kernel that tell about the host or its neighbours. */
const masked = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/config.gz',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/dev/block',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
  '/sys/fs/selinux',
];

const readonly = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

const bind = (source: string, destination: string, options: readonly string[]) => ({
  destination,
  type: 'bind',
  source,
  options: ['bind', 'private', ...options],
});

const filesystem = (type: string, destination: string, options: readonly string[]) => ({
  destination,
  type,
  source: type,
  options: ['nosuid', 'noexec', ...options],
});

/** In memory: what is written here never gets to the disk of the build, nor to another container. */
const secrets = filesystem('tmpfs', secretsDirectory, ['nodev', 'mode=0700', 'size=1m', 'nr_inodes=1k']);

/** The config.json of a container; its rootfs is `rootfs` beside it, its process the holder's init. */
export function containerSpec(options: SpecOptions, root: 'writable' | 'readonly'): object {
  const { mount, places } = options;
  const throttle = Array.from(
    { length: options.processors },
    (_, i) => `/sys/devices/system/cpu/cpu${i}/thermal_throttle`,
  );
  return {
    ociVersion: '1.0.2',
    root: { path: 'rootfs', readonly: root === 'readonly' },
    process: {
      terminal: false,
      user: { uid: 0, gid: 0, umask: 0o022 },
      args: [initPath, 'init'],
      // The init needs none. Without it crun would look for one in the image's /etc/passwd, which may be a FIFO.
      env: ['HOME=/'],
      cwd: '/',
      noNewPrivileges: true,
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      rlimits: options.rlimits,
    },
    mounts: [
      filesystem('proc', '/proc', ['nodev']),
      filesystem('tmpfs', '/dev', ['mode=755', 'size=1m']),
      filesystem('devpts', '/dev/pts', ['newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']),
      filesystem('tmpfs', '/dev/shm', ['nodev', 'mode=1777', 'size=256m']),
      filesystem('mqueue', '/dev/mqueue', ['nodev']),
      filesystem('sysfs', '/sys', ['nodev', 'ro']),
      ...(root === 'writable' ? [secrets] : []),
      bind(options.holder, initPath, ['ro', 'nosuid', 'nodev']),
      ...places.map(({ source, path, access }) =>
        bind(`${mount}/${source}`, path, [access, 'nosuid', 'nodev']),
      ),
    ],
    linux: {
      // Network, IPC and UTS namespaces are those of the pod, which owns them by the same user namespace.
      namespaces: [
        { type: 'pid' },
        { type: 'mount' },
        { type: 'cgroup' },
        { type: 'user', path: `${mount}/userns` },
      ],
      maskedPaths: [...masked, ...throttle],
      readonlyPaths: readonly,
      rootfsPropagation: 'private',
    },
    annotations: { 'run.oci.seccomp_bpf_data': options.seccomp.toString('base64') },
  };
}
