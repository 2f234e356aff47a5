import type { CgroupPlan } from '../../runtime/crun/cgroup.ts';
import type { Weakening } from './assembly.ts';
import { openings } from './filters.ts';
import { holderControls } from './holders.ts';
import { filterAnnotation, type OciConfig } from './oci.ts';

/** One thing that keeps a build in, and a sandbox without it. */
export interface Control {
  /** Such as `mask /proc/kcore`. */
  readonly id: string;
  /** Which probes could notice: all that run inside, or those that use up a resource. */
  readonly noticed: 'inside' | 'by use';
  readonly without: Weakening | (() => Promise<Weakening>);
}

type Mount = OciConfig['mounts'][number];

/** Of the options of a mount those that hold something back; `private` is the propagation. */
const isProtective = (option: string): boolean =>
  /^(nosuid|nodev|noexec|ro|private|newinstance)$|^(mode|size|nr_inodes|gid)=/.test(option);

// capabilities(7), by number: CAP_CHOWN is 0
const capabilities =
  `CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE
  NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT
  SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP
  MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE`
    .split(/\s+/)
    .map((name) => `CAP_${name}`);

/** Every single control of a container's config, as the config itself has them. */
function configControls(config: OciConfig): Control[] {
  const { process: own, mounts, linux } = config;
  const given = own.capabilities['bounding'] ?? [];
  const inside = (id: string, weaken: (config: OciConfig) => OciConfig): Control => ({
    id,
    noticed: 'inside',
    without: { config: weaken },
  });
  const onProcess = (id: string, change: Partial<OciConfig['process']>) =>
    inside(id, (its) => ({ ...its, process: { ...its.process, ...change } }));
  const onLinux = (id: string, change: Partial<OciConfig['linux']>) =>
    inside(id, (its) => ({ ...its, linux: { ...its.linux, ...change } }));
  const onMount = (id: string, at: number, change: (mount: Mount) => readonly Mount[]) =>
    inside(id, (its) => ({
      ...its,
      mounts: its.mounts.flatMap((mount, i) => (i === at ? change(mount) : [mount])),
    }));
  const sets = (change: Readonly<Record<string, readonly string[]>>) => ({
    capabilities: { ...own.capabilities, ...change },
  });

  return [
    ...linux.maskedPaths.map((path) =>
      onLinux(`mask ${path}`, { maskedPaths: linux.maskedPaths.filter((other) => other !== path) }),
    ),
    ...linux.readonlyPaths.map((path) =>
      onLinux(`read-only ${path}`, { readonlyPaths: linux.readonlyPaths.filter((other) => other !== path) }),
    ),
    ...capabilities
      .filter((name) => !given.includes(name))
      .map((name) => {
        const more = [...given, name];
        return onProcess(`no ${name}`, sets({ bounding: more, effective: more, permitted: more }));
      }),
    onProcess('no inheritable capabilities', sets({ inheritable: given })),
    onProcess('no ambient capabilities', sets({ inheritable: given, ambient: given })),
    onProcess('bounding set', sets({ bounding: capabilities })),
    ...linux.namespaces.map(({ type }) =>
      onLinux(`${type} namespace`, { namespaces: linux.namespaces.filter((other) => other.type !== type) }),
    ),
    ...own.rlimits.map(({ type }) =>
      onProcess(type, { rlimits: own.rlimits.filter((other) => other.type !== type) }),
    ),
    onProcess('no_new_privs', { noNewPrivileges: false }),
    onProcess('umask', { user: { ...own.user, umask: 0 } }),
    onLinux('propagation of the root', { rootfsPropagation: 'shared' }),
    ...mounts.flatMap(({ destination, type, options }, i) => [
      ...(type === 'bind' ? [] : [onMount(`mount ${destination}`, i, () => [])]),
      ...options
        .filter(isProtective)
        .map((option) =>
          onMount(`${option} of ${destination}`, i, (mount) => [
            { ...mount, options: mount.options.filter((other) => other !== option) },
          ]),
        ),
    ]),
    inside('seccomp', (its) => ({ ...its, annotations: {} })),
    ...openings().map(({ id, open }) =>
      inside(`seccomp: ${id}`, (its) => ({
        ...its,
        annotations: { [filterAnnotation]: open(its.annotations[filterAnnotation] ?? '') },
      })),
    ),
  ];
}

/** Every limit of a build's cgroups, and every hierarchy that it is put into. */
function cgroupControls({ settings, join }: CgroupPlan): Control[] {
  const name = (path: string) => path.split('/').slice(-1)[0] ?? '';
  const hierarchy = (path: string) => path.split('/').slice(-4)[0] ?? '';
  return [
    ...settings.map(
      ([file], i): Control => ({
        id: `cgroup ${name(file)}`,
        noticed: 'by use',
        without: {
          cgroups: (plan) => ({ ...plan, settings: plan.settings.filter((_, other) => other !== i) }),
        },
      }),
    ),
    ...join.map(
      (file, i): Control => ({
        id: `cgroup hierarchy ${hierarchy(file)}`,
        noticed: 'by use',
        without: { cgroups: (plan) => ({ ...plan, join: plan.join.filter((_, other) => other !== i) }) },
      }),
    ),
  ];
}

/** All of them. */
export const controls = (config: OciConfig, plan: CgroupPlan): Control[] => [
  ...configControls(config),
  ...cgroupControls(plan),
  ...holderControls(),
];
