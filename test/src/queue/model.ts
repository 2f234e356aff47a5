import type { BuildSpec } from '../../../src/spec.ts';

/** What the queue has to know about a build, kept in the plainest way. */
export interface ModelBuild {
  /** Its labels may be others than it was submitted with. */
  spec: BuildSpec;
  at: 'held' | 'aside' | 'waiting' | 'ready' | 'running' | 'ended';
  attempt: number;
  /** Sessions and ids of workers. */
  session: string;
  avoids: string;
  failures: number;
  deaths: number;
  cancel: boolean;
  /** How often it came to an end: once, in the end. */
  ends: number;
  class: string;
  /** The hand-over that counts. */
  n: number;
  /** By workflow. */
  turns: Map<string, ModelTurn>;
}

export interface ModelTurn {
  readonly group: string;
  readonly limit: number;
  readonly first: boolean;
  state: 'waits' | 'has';
}

export interface ModelWorker {
  readonly id: string;
  readonly session: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly class: string;
  slots: number;
  alive: boolean;
}

interface Caps {
  readonly project: number;
  readonly group: number;
}

/** The rules of the queue without its data structures: everything is counted anew for each question. */
export function createModel(caps: Caps) {
  const builds = new Map<string, ModelBuild>();
  /** Those that Redis knows; they may be dead. */
  const workers = new Map<string, ModelWorker>();

  const all = (test: (build: ModelBuild) => boolean) => [...builds.values()].filter(test);
  const active = ({ at }: ModelBuild) => at === 'ready' || at === 'running';
  const offers = (worker: ModelWorker, spec: BuildSpec) =>
    Object.entries(spec.labels).every(
      ([name, value]) => worker.labels[name] === value || worker.labels[name] === '*',
    );
  const free = (worker: ModelWorker) =>
    Math.max(
      0,
      worker.slots - all(({ at, session }) => at === 'running' && session === worker.session).length,
    );
  const sum = (numbers: number[]) => numbers.reduce((total, each) => total + each, 0);

  const ownCaps = new Map<string, number>();
  const capOf = (project: string) => ownCaps.get(project) ?? caps.project;

  const capped = ({ spec }: ModelBuild): 'project' | 'group' | undefined => {
    const sameProject = all((other) => active(other) && other.spec.project === spec.project);
    if (sameProject.length >= capOf(spec.project)) return 'project';
    if (spec.group === undefined) return undefined;
    const sameGroup = sameProject.filter((other) => other.spec.group === spec.group);
    return sameGroup.length >= caps.group ? 'group' : undefined;
  };

  /** Slots that could take the build now. */
  const roomFor = (build: ModelBuild): number => {
    const fitting = [...workers.values()].filter((worker) => offers(worker, build.spec));
    const avoidable =
      build.avoids !== '' && fitting.some((each) => each.id !== build.avoids && each.slots > 0);
    const classes = Map.groupBy(fitting, (worker) => worker.class);
    return sum(
      [...classes].map(([key, members]) => {
        const wanted = avoidable ? members.filter(({ id }) => id !== build.avoids) : members;
        const ready = all((other) => other.at === 'ready' && other.class === key).length;
        return Math.max(0, Math.min(sum(wanted.map(free)), sum(members.map(free))) - ready);
      }),
    );
  };

  /** Unfinished builds of the same branch. */
  const inLine = ({ project, supersedeKey }: BuildSpec) =>
    all(
      ({ spec, at }) =>
        at !== 'ended' &&
        supersedeKey !== undefined &&
        spec.project === project &&
        spec.supersedeKey === supersedeKey,
    );

  const turnsIn = (project: string, group: string, state: ModelTurn['state'], before?: string) =>
    all(({ spec }) => spec.project === project && (before === undefined || spec.id < before)).flatMap(
      ({ turns }) => [...turns.values()].filter((turn) => turn.group === group && turn.state === state),
    ).length;

  /** Whether a workflow of the build has to wait for others of its group. */
  const blocked = ({ spec: { project, id } }: ModelBuild, { group, limit }: ModelTurn): boolean =>
    turnsIn(project, group, 'has') + turnsIn(project, group, 'waits', id) >= limit;

  /** Whether every workflow that the build could begin has to wait. */
  const mustStandAside = (build: ModelBuild): boolean => {
    const first = [...build.turns.values()].filter((turn) => turn.first);
    return first.length > 0 && first.every((turn) => blocked(build, turn));
  };

  /** Whether an earlier build has not told yet what it wants. */
  const unplanned = ({ spec: { project, id } }: ModelBuild): boolean =>
    all((other) => active(other) && other.spec.project === project && other.spec.id < id).some(
      ({ turns }) => turns.size === 0,
    );

  return {
    blocked,
    mustStandAside,
    unplanned,
    builds,
    workers,
    ownCaps,
    capOf,
    inLine,
    all,
    active,
    offers,
    free,
    capped,
    roomFor,
  };
}
