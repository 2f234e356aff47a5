import { existsSync } from 'node:fs';
import { join } from 'node:path';
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
export function cgroupMounts(mountinfo: string): CgroupMount[] {
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
  const mounts = cgroupMounts(readHostFile(host, '/proc/self/mountinfo') ?? '');
  const unified = mounts.find((mount) => mount.version === 2);
  const layout = unified ? (mounts.length === 1 ? 'v2' : 'hybrid') : 'v1';
  const inUnified = unified
    ? (readHostFile(host, `${unified.point}/cgroup.controllers`) ?? '').split(' ')
    : [];
  const usable = (name: string) =>
    mounts.some(
      (mount) =>
        mount.writable && (mount.version === 2 ? inUnified.includes(name) : mount.options.includes(name)),
    );
  const lacking = controllers.filter((name) => !usable(name));
  if (lacking.length === 0) return { status: 'ok', detail: `${layout}: ${controllers.join(', ')}` };
  const known = readHostFile(host, '/proc/cgroups') ?? '';
  const off = lacking.filter((name) => !new RegExp(`^${name}\\s+\\d+\\s+\\d+\\s+1$`, 'm').test(known));
  const text =
    off.length > 0
      ? `boot with ${off.map((name) => `cgroup_enable=${name}`).join(' ')}`
      : 'mount the controllers writable at /sys/fs/cgroup (in a container: run it with its own cgroup namespace)';
  return {
    status: 'missing',
    detail: `${layout}, without ${lacking.join(', ')}`,
    remedy: { kind: 'advice', text },
  };
}

/** cgroup.kill (5.14) ends every process of a build with one write, also in a hybrid layout. */
function probeKill(host: Host): Finding {
  const unified = cgroupMounts(readHostFile(host, '/proc/self/mountinfo') ?? '').find(
    (mount) => mount.version === 2,
  );
  // The root cgroup has no cgroup.kill; cgroup.stat tells that it is a cgroup2 tree at all.
  if (unified && existsSync(join(host.root, unified.point, 'cgroup.stat'))) {
    return { status: 'ok', detail: unified.point };
  }
  const text = 'mount cgroup2, for example at /sys/fs/cgroup/unified';
  return { status: 'warn', detail: 'no cgroup2 tree', remedy: { kind: 'advice', text } };
}

/** Control groups: limits, usage, and why a build was killed. */
export const cgroupRequirements: readonly Requirement[] = [
  { id: 'cgroups', purpose: 'limits of memory, processes, cpu', neededFor: 'builds', probe: probeCgroups },
  { id: 'cgroup2', purpose: 'kills a build in one write', neededFor: 'builds', probe: probeKill },
];
