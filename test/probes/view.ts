import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { idRange } from '../../runtime/crun/driver.ts';

/** Of proc_pid_mountinfo(5). */
interface Mount {
  readonly point: string;
  readonly flags: readonly string[];
  readonly propagation: string;
}

/** What the pod must have mounted for a sandbox with one source, volume and container, and the flags of each. */
const wanted: Readonly<Record<string, readonly string[]>> = {
  '': ['nosuid', 'nodev'],
  '/crun': ['ro', 'nosuid', 'nodev'],
  '/disk': ['nodev'],
  '/layers': ['ro', 'nosuid', 'nodev', 'idmapped'],
  '/source/0': ['ro', 'nosuid', 'nodev', 'idmapped'],
  '/workspace': ['nosuid', 'nodev'],
  '/volume/0/layer/0': ['ro', 'nosuid', 'nodev', 'idmapped'],
  '/volume/0/merged': ['nosuid', 'nodev'],
  '/c/box/rootfs': ['nodev'],
};

/** The process that has the mounts of a sandbox: PID 1 of its own namespace, started for that sandbox. */
export function podOf(dataDir: string, id: string): number {
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const words = text(`/proc/${name}/cmdline`).split('\0');
    const ours = words.includes(join(dataDir, 'mnt')) && words.some((word) => word.endsWith(`/${id}`));
    if (ours && /^NSpid:\t\d+\t1$/m.test(text(`/proc/${name}/status`))) return Number(name);
  }
  throw new Error(`no pod of sandbox ${id}`);
}

/** What the host sees of a sandbox that runs, as lines of the probes' program. */
export function viewOf(dataDir: string, id: string): string {
  const pod = podOf(dataDir, id);
  const init = readdirSync('/proc').find(
    (name) => /^\d+$/.test(name) && text(`/proc/${name}/status`).includes(`\nPPid:\t${pod}\n`),
  );
  const lines: Record<string, readonly string[]> = {
    '17-pod-mounts': podMounts(pod, join(dataDir, 'mnt')),
    '15-init-descriptors': init === undefined ? ['no init'] : descriptors(init),
    '7-init': init === undefined ? ['no init'] : privileges(init),
  };
  return Object.entries(lines)
    .map(([probe, found]) => `${JSON.stringify({ id: probe, got: found.join(' ') || 'none' })}\n`)
    .join('');
}

function podMounts(pod: number, mount: string): string[] {
  const mounts = text(`/proc/${pod}/mountinfo`).trim().split('\n').map(parse);
  const lacking = (at: string, name: string, flags: readonly string[]) => {
    const its = mounts.findLast(({ point }) => point === at);
    if (!its) return [`${name} is not mounted`];
    return flags.filter((flag) => !its.flags.includes(flag)).map((flag) => `${name} without ${flag}`);
  };
  const below = Object.entries(wanted).flatMap(([path, flags]) =>
    lacking(`${mount}${path}`, path || 'its tmpfs', flags),
  );
  const shared = mounts
    .filter(({ propagation }) => propagation.includes('shared:'))
    .map(({ point }) => `${point} is shared`);
  return [...lacking('/proc', 'its /proc', ['nosuid', 'nodev', 'noexec']), ...below, ...shared];
}

function parse(line: string): Mount {
  const [, , , , point = '', flags = '', ...propagation] = line.split(' - ')[0]?.split(' ') ?? [];
  return { point, flags: flags.split(','), propagation: propagation.join(' ') };
}

/** All but what an init needs: its socket, its signals, and nothing of the host. */
function descriptors(init: string): string[] {
  return readdirSync(`/proc/${init}/fd`)
    .map((fd) => readlinkSync(`/proc/${init}/fd/${fd}`))
    .filter((target) => !/^(\/dev\/null|socket:\[\d+\]|anon_inode:\[signalfd\])$/.test(target));
}

function privileges(init: string): string[] {
  const status = text(`/proc/${init}/status`);
  const field = (name: string) => new RegExp(`^${name}:\\s+(\\w+)`, 'm').exec(status)?.[1];
  const found: string[] = [];
  if (Number(field('Uid')) < idRange.first) found.push(`runs as ${field('Uid')}`);
  if (field('NoNewPrivs') !== '1') found.push('may gain privileges');
  if (field('Seccomp') !== '2') found.push('is not filtered');
  return found;
}

function text(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}
