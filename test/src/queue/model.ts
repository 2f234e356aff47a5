import type { BuildSpec } from '../../../src/spec.ts';

/** What the queue has to know about a build, kept in the plainest way. */
export interface ModelBuild {
  /** Its labels may be others than it was submitted with. */
  spec: BuildSpec;
  at: 'held' | 'waiting' | 'ready' | 'running' | 'ended';
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

  return { builds, workers, ownCaps, capOf, inLine, all, active, offers, free, capped, roomFor };
}
