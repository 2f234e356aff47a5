import { existsSync, globSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'vitest';
import { idRange } from '../runtime/crun/driver.ts';

/**
 * What this machine has that sandboxes with this data directory could have left, each kind a sorted list.
 * Sandboxes of other data directories come and go meanwhile, so what belongs to a living holder of theirs is left
 * out. Not seen: a network namespace without processes, mounts and interfaces in other namespaces.
 */
export type Census = Readonly<Record<string, readonly string[]>>;

interface Process {
  readonly pid: number;
  readonly parent: number;
  readonly uid: number;
  /** Its command line, separated by NUL. */
  readonly words: string;
  readonly mounts: string;
  readonly network: string;
  readonly mountinfo: string;
}

/** Undefined when it ended meanwhile. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function processes(): Process[] {
  return readdirSync('/proc').flatMap((name) => {
    const directory = `/proc/${name}`;
    const status = /^\d+$/.test(name) && attempt(() => readFileSync(`${directory}/status`, 'utf8'));
    if (!status) return [];
    const field = (key: string) => Number(status.match(new RegExp(`^${key}:\\s+(\\d+)`, 'm'))?.[1]);
    const text = (file: string) => attempt(() => readFileSync(`${directory}/${file}`, 'utf8')) ?? '';
    const link = (file: string) => attempt(() => readlinkSync(`${directory}/${file}`)) ?? '';
    return {
      pid: Number(name),
      parent: field('PPid'),
      uid: field('Uid'),
      words: text('cmdline'),
      mounts: link('ns/mnt'),
      network: link('ns/net'),
      mountinfo: text('mountinfo'),
    };
  });
}

/** The host's end of a sandbox's network, which has the gateway's address; undefined: it has none, or not yet. */
function linkOf(pid: number, words: string): string | undefined {
  const [, prefix = '', base = ''] = /\0--link\0([^\0]+)\0([^\0]+)\0/.exec(words) ?? [];
  const routes = attempt(() => readFileSync(`/proc/${pid}/net/route`, 'utf8')) ?? '';
  const [, gateway] = /^eth0\t00000000\t([0-9A-F]{8})\t/m.exec(routes) ?? [];
  if (prefix === '' || gateway === undefined) return undefined;
  const first = Buffer.from(base.split('.').map(Number)).readUInt32BE();
  const number = (Buffer.from(gateway, 'hex').readUInt32LE() - first) / 2;
  return `${prefix}${number}`;
}

const isBuildId = (uid: number) => uid >= idRange.first && uid < idRange.first + idRange.slots * 65_536;

export function census(dataDir: string): Census {
  // In this order: a sandbox of somebody else that ends meanwhile has its cgroups listed and its holder gone, which
  // expectSameCensus() outwaits; the other way round it would be missed.
  const cgroups = globSync('/sys/fs/cgroup/{.,*}/cofferdam/*/').map((path) => path.replace('/./', '/'));
  const all = processes();
  const byPid = new Map(all.map((process) => [process.pid, process]));
  const foreign = all.filter(
    ({ words }) => words.includes('\0open\0--mount\0') && !words.includes(`\0${dataDir}/`),
  );
  const foreignPids = new Set(foreign.map(({ pid }) => pid));
  const foreignLinks = new Set(foreign.flatMap(({ pid, words }) => linkOf(pid, words) ?? []));
  const belowForeign = (process: Process | undefined): boolean =>
    process !== undefined && (foreignPids.has(process.pid) || belowForeign(byPid.get(process.parent)));
  const ours = all.filter(
    (process) =>
      process.pid !== globalThis.process.pid &&
      (process.words.includes(dataDir) || (isBuildId(process.uid) && !belowForeign(process))),
  );
  const namespaces = new Map(all.map(({ mounts, mountinfo }) => [mounts, mountinfo]));
  const loops = readdirSync('/sys/block').flatMap(
    (name) => attempt(() => readFileSync(`/sys/block/${name}/loop/backing_file`, 'utf8')) ?? [],
  );

  const lists: Record<string, readonly string[]> = {
    cgroups: cgroups.filter((path) => {
      const [id = ''] = path.match(/[^/]+(?=\/?$)/) ?? [];
      // The ids of a lab begin with the name of its data directory (test/runtime/crun/lab.ts).
      const otherLab = id.startsWith('lab-') && !id.startsWith(basename(dataDir));
      return !otherLab && !foreign.some(({ words }) => words.includes(`\0${path.replace(/\/$/, '')}\0`));
    }),
    processes: ours.map(({ pid, uid, words }) => `${pid} uid ${uid}: ${words.replaceAll('\0', ' ')}`),
    networks: [...new Set(ours.map(({ network }) => network))],
    links: readdirSync('/sys/class/net').filter((name) => !foreignLinks.has(name)),
    mounts: [...namespaces.values()].flatMap((text) =>
      text.split('\n').filter((line) => line.includes(dataDir)),
    ),
    loops: loops.filter((file) => file.includes(dataDir)),
    state: state(dataDir),
    temporary: readdirSync('/tmp').filter((name) => name.startsWith('crun.')),
  };
  return Object.fromEntries(Object.entries(lists).map(([kind, list]) => [kind, [...list].sort()]));
}

/** Two levels of the data directory, without the locks of id ranges and the disk templates, which are there to stay. */
function state(dataDir: string): string[] {
  const kept = /^(slots\/\d+|disks\/ext4-\d+-\d+\.img)$/;
  const entries = (directory: string) =>
    existsSync(directory) ? readdirSync(directory, { withFileTypes: true }) : [];
  return entries(dataDir)
    .flatMap((entry) => [
      entry.name,
      ...(entry.isDirectory()
        ? entries(join(dataDir, entry.name)).map((below) => `${entry.name}/${below.name}`)
        : []),
    ])
    .filter((path) => !kept.test(path));
}

const patienceMs = 3000;

/**
 * Fails when something is there that was not before. Asks again for a while: the kernel takes network namespaces
 * and loop devices down in the background.
 */
export async function expectSameCensus(dataDir: string, before: Census): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const left = added(before, census(dataDir));
    if (Object.keys(left).length === 0) return;
    if (Date.now() > deadline) expect(left, 'what sandboxes left behind').toEqual({});
    await sleep(50);
  }
}

function added(before: Census, after: Census): Census {
  return Object.fromEntries(
    Object.entries(after)
      .map(([kind, list]) => [kind, list.filter((item) => !before[kind]?.includes(item))] as const)
      .filter(([, list]) => list.length > 0),
  );
}
