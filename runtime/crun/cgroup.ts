import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Limits } from '../sandbox.ts';

/**
 * Where limits and counters live. v1 has one hierarchy for each controller, v2 one for all (cgroups(7)); a hybrid
 * machine (v1 controllers, an empty v2 tree beside them) counts as v1.
 */
export interface CgroupTree {
  readonly version: 1 | 2;
  /** Our directory in each hierarchy, by controller. On v2 they are all the same. */
  readonly parents: Readonly<Record<Controller, string>>;
}

type Controller = 'memory' | 'pids' | 'cpu' | 'cpuacct';

/** What the holder does for one build, in this order, and undoes at the end. */
export interface CgroupPlan {
  readonly directories: readonly string[];
  readonly settings: readonly (readonly [file: string, value: string])[];
  /** Files that a process writes `0` to, to join. */
  readonly join: readonly string[];
  /** Directories in which each container has a cgroup of its own, so that it is known to whom something was refused. */
  readonly each: readonly string[];
  /** The file of these by which a process joins. */
  readonly eachFile: string;
}

/** What makes a verdict. */
export interface Refusals {
  readonly oomKills: number;
  /** Times that the pids limit refused a fork. */
  readonly pidsRefused: number;
}

export interface Consumption {
  readonly memoryPeakBytes: number;
  readonly cpuSeconds: number;
}

/** This machine cannot limit builds; the message says which controller is missing, or what may not be written. */
export class CgroupError extends Error {
  override readonly name = 'CgroupError';
}

const controllers: readonly Controller[] = ['memory', 'pids', 'cpu', 'cpuacct'];
/** Those whose refusals make verdicts. */
const refusing: readonly Controller[] = ['memory', 'pids'];

/** Finds the hierarchies and makes our parent directory in each. Throws CgroupError. */
export function cgroupTree(root = '/sys/fs/cgroup'): CgroupTree {
  return existsSync(join(root, 'cgroup.controllers')) ? unified(root) : legacy(root);
}

function unified(root: string): CgroupTree {
  const available = readFileSync(join(root, 'cgroup.controllers'), 'utf8').trim().split(' ');
  const needed = ['memory', 'pids', 'cpu'];
  const missing = needed.filter((name) => !available.includes(name));
  if (missing.length > 0) {
    throw new CgroupError(
      `cgroup v2 at ${root} lacks the controllers ${missing.join(', ')}; see docs/hosts.md`,
    );
  }
  const parent = join(root, 'cofferdam');
  const enable = needed.map((name) => `+${name}`).join(' ');
  prepare(parent, () => {
    for (const directory of [root, parent]) writeFileSync(join(directory, 'cgroup.subtree_control'), enable);
  });
  return { version: 2, parents: { memory: parent, pids: parent, cpu: parent, cpuacct: parent } };
}

function legacy(root: string): CgroupTree {
  const find = (controller: Controller) => {
    const mounted = existsSync(root)
      ? readdirSync(root).find((name) => name.split(',').includes(controller))
      : undefined;
    if (mounted === undefined) {
      throw new CgroupError(`no cgroup controller '${controller}' below ${root}; see docs/hosts.md`);
    }
    // One hierarchy of two controllers also has a symlink for each; its directory must have one name.
    const parent = join(realpathSync(join(root, mounted)), 'cofferdam');
    prepare(parent);
    return parent;
  };
  const parents = { memory: find('memory'), pids: find('pids'), cpu: find('cpu'), cpuacct: find('cpuacct') };
  return { version: 1, parents };
}

/** Makes our parent directory and readies it. Throws CgroupError for what the kernel does not let us do. */
function prepare(parent: string, ready?: () => void): void {
  try {
    makeDirectory(parent);
    ready?.();
  } catch (error) {
    const told = error instanceof Error ? error.message : String(error);
    throw new CgroupError(
      `cannot keep the cgroups of builds in ${parent}: ${told}. In a container, give it writable cgroups of its own ` +
        '(a cgroup namespace, and /sys/fs/cgroup not read-only); see "Control groups" in docs/hosts.md',
      { cause: error },
    );
  }
}

/** Not `recursive`: Node then tells of a read-only tree that there is no such directory. */
function makeDirectory(path: string): void {
  try {
    mkdirSync(path);
  } catch (error) {
    // There already.
    if (!existsSync(path)) throw error;
  }
}

/** The cgroups of one build. */
export function cgroupPlan(tree: CgroupTree, id: string, limits: Limits): CgroupPlan {
  const at = (controller: Controller, file: string) => join(tree.parents[controller], id, file);
  const period = 100_000;
  const quota = Math.max(1000, Math.round(limits.cpus * period));
  const memory = String(limits.memoryBytes);
  const directoriesOf = (some: readonly Controller[]) => [
    ...new Set(some.map((controller) => join(tree.parents[controller], id))),
  ];
  const directories = directoriesOf(controllers);
  const each = directoriesOf(refusing);
  // The init of a container and crun, while it starts one, count too.
  const pids = String(limits.pids + 4);
  if (tree.version === 2) {
    return {
      directories,
      settings: [
        [at('memory', 'memory.max'), memory],
        ...optional(join(tree.parents.memory, 'memory.swap.max'), at('memory', 'memory.swap.max'), '0'),
        [at('pids', 'pids.max'), pids],
        [at('cpu', 'cpu.max'), `${quota} ${period}`],
        // All processes are in the cgroups of containers, which only then may have controllers.
        [at('memory', 'cgroup.subtree_control'), refusing.map((name) => `+${name}`).join(' ')],
      ],
      join: [],
      each,
      eachFile: 'cgroup.procs',
    };
  }
  return {
    directories,
    settings: [
      [at('memory', 'memory.limit_in_bytes'), memory],
      ...optional(
        join(tree.parents.memory, 'memory.memsw.limit_in_bytes'),
        at('memory', 'memory.memsw.limit_in_bytes'),
        memory,
      ),
      [at('pids', 'pids.max'), pids],
      [at('cpu', 'cpu.cfs_period_us'), String(period)],
      [at('cpu', 'cpu.cfs_quota_us'), String(quota)],
    ],
    // `tasks` moves one thread; a single-threaded process that writes 0 takes no global lock with it.
    join: directories
      .filter((directory) => !each.includes(directory))
      .map((directory) => join(directory, 'tasks')),
    each,
    eachFile: 'tasks',
  };
}

/** Swap accounting is a kernel option; the parent shows whether there is any. */
function optional(probe: string, file: string, value: string): (readonly [string, string])[] {
  return existsSync(probe) ? [[file, value]] : [];
}

/** What the kernel refused to a container of a build so far. Throws when its cgroups are gone. */
export function readRefusals(tree: CgroupTree, id: string, container: string): Refusals {
  const events = tree.version === 2 ? 'memory.events' : 'memory.oom_control';
  const place = join(id, container);
  // Whose limit it was counts on cgroup v2 from Linux 6.11 on, and who wanted to fork before and on v1.
  const pidsRefused = [id, place].map((each) => field(read(tree, each, 'pids', 'pids.events'), 'max'));
  return {
    oomKills: field(read(tree, place, 'memory', events), 'oom_kill'),
    pidsRefused: Math.max(...pidsRefused),
  };
}

/** What a build used so far. Throws when its cgroups are gone. */
export function readConsumption(tree: CgroupTree, id: string): Consumption {
  if (tree.version === 2) {
    // memory.peak is of Linux 5.19.
    const peak = existsSync(join(tree.parents.memory, id, 'memory.peak')) ? 'memory.peak' : 'memory.current';
    return {
      memoryPeakBytes: Number(read(tree, id, 'memory', peak)),
      cpuSeconds: field(read(tree, id, 'cpu', 'cpu.stat'), 'usage_usec') / 1e6,
    };
  }
  return {
    memoryPeakBytes: Number(read(tree, id, 'memory', 'memory.max_usage_in_bytes')),
    cpuSeconds: Number(read(tree, id, 'cpuacct', 'cpuacct.usage')) / 1e9,
  };
}

function read(tree: CgroupTree, id: string, controller: Controller, file: string): string {
  return readFileSync(join(tree.parents[controller], id, file), 'utf8');
}

function field(text: string, name: string): number {
  return Number(text.match(new RegExp(`^${name} (\\d+)`, 'm'))?.[1] ?? 0);
}

const staleAfterMs = 3_600_000;

/**
 * Removes empty cgroups that nobody removed: those of sandboxes whose outer process was killed itself.
 * Only old ones: a sandbox that is just starting has empty cgroups too.
 */
export function sweepCgroups(tree: CgroupTree, now = Date.now()): void {
  for (const parent of new Set(Object.values(tree.parents))) {
    for (const entry of readdirSync(parent, { withFileTypes: true })) {
      const directory = join(parent, entry.name);
      try {
        if (!entry.isDirectory() || now - statSync(directory).mtimeMs <= staleAfterMs) continue;
        for (const container of readdirSync(directory, { withFileTypes: true })) {
          if (container.isDirectory()) rmdirSync(join(directory, container.name));
        }
        rmdirSync(directory);
      } catch {
        // Busy: it has processes, so it is not ours to remove.
      }
    }
  }
}
