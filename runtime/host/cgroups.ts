import { type Finding, type Host, type Requirement, readHostFile } from './requirement.ts';

/** The controllers that limits and verdicts rest on. */
const controllers = ['memory', 'pids', 'cpu'];

interface CgroupMount {
  readonly point: string;
  readonly version: 1 | 2;
  readonly writable: boolean;
  /** Version 1: the controllers of this hierarchy. */
  readonly options: readonly string[];
}

/** The cgroup file systems of `/proc/self/mountinfo` (proc(5)); two in one place: the later one is what is seen. */
function cgroupMounts(mountinfo: string): CgroupMount[] {
  const mounts = new Map<string, CgroupMount>();
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const [, , , , point = '', flags = ''] = before.split(' ');
    const [type = '', , options = ''] = after.split(' ');
    if (type !== 'cgroup' && type !== 'cgroup2') continue;
    mounts.set(point, {
      point,
      version: type === 'cgroup2' ? 2 : 1,
      writable: flags.split(',').includes('rw'),
      options: options.split(','),
    });
  }
  return [...mounts.values()];
}

function probeCgroups(host: Host): Finding {
  const mounts = cgroupMounts(readHostFile(host, '/proc/self/mountinfo') ?? '').filter(
    (mount) => mount.writable,
  );
  const root = mounts.find((mount) => mount.version === 2 && mount.point === '/sys/fs/cgroup');
  // A cgroup2 tree elsewhere makes the machine a hybrid one: only its version 1 hierarchies are used.
  const wanted = root ? controllers : [...controllers, 'cpuacct'];
  const offered = root
    ? (readHostFile(host, `${root.point}/cgroup.controllers`) ?? '').split(' ')
    : mounts.flatMap((mount) => mount.options);
  const layout = root ? 'v2' : mounts.some((mount) => mount.version === 2) ? 'hybrid' : 'v1';
  const lacking = wanted.filter((name) => !offered.includes(name));
  if (lacking.length > 0) {
    return {
      status: 'missing',
      detail: `${layout}, without ${lacking.join(', ')}`,
      remedy: { kind: 'advice', text: howToGet(host, lacking) },
    };
  }
  if (root && crowded(host, root.point)) {
    return {
      status: 'missing',
      detail: 'v2, with processes in the topmost cgroup that is visible here',
      remedy: {
        kind: 'advice',
        text: `move them into a child of ${root.point}, or run outside the container`,
      },
    };
  }
  return { status: 'ok', detail: `${layout}: ${wanted.join(', ')}` };
}

function howToGet(host: Host, lacking: readonly string[]): string {
  const known = readHostFile(host, '/proc/cgroups') ?? '';
  const off = lacking.filter((name) => !new RegExp(`^${name}\\s+\\d+\\s+\\d+\\s+1$`, 'm').test(known));
  if (off.length > 0) return `boot with ${off.map((name) => `cgroup_enable=${name}`).join(' ')}`;
  return 'mount the controllers writable below /sys/fs/cgroup (in a container: with a cgroup namespace of its own)';
}

/**
 * A cgroup with processes cannot hand controllers to its children, unless it is the root of the machine, which has
 * no cgroup.type (cgroups(7), "no internal processes").
 */
function crowded(host: Host, point: string): boolean {
  const handed = (readHostFile(host, `${point}/cgroup.subtree_control`) ?? '').split(' ');
  if (controllers.every((name) => handed.includes(name))) return false;
  return (
    readHostFile(host, `${point}/cgroup.type`) !== undefined &&
    readHostFile(host, `${point}/cgroup.procs`) !== ''
  );
}

/** Control groups: limits, usage, and why a build was killed. */
export const cgroupRequirements: readonly Requirement[] = [
  { id: 'cgroups', purpose: 'limits of memory, processes, cpu', neededFor: 'builds', probe: probeCgroups },
];
