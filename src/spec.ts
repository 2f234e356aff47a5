import { decodeTime } from 'ulid';
import type { BuildRecord } from './build.ts';
import { shortRef, type Trigger, type Trust } from './trigger.ts';

/** Where a build's files come from. */
export type BuildSource =
  | {
      /** A tar in storage: `uploads/<digest>.tar`. */
      readonly kind: 'upload';
      /** SHA-256 of the tar, lower-case hex. */
      readonly digest: string;
      readonly bytes: number;
      readonly repo?: string;
      /** The branch, as lists filter by it. */
      readonly ref?: string;
      readonly sha?: string;
    }
  | GitSource
  | { readonly kind: 'none' };

/** A commit of a repository. Holds no credentials: a worker looks them up by the repository's name. */
export interface GitSource {
  readonly kind: 'git';
  /** `https://…` or `ssh://…`, as src/git/url.ts lets pass. */
  readonly url: string;
  /** Name of the registered repository whose credentials and policy hold; undefined: none is registered. */
  readonly repository?: string;
  /** What the record calls it. */
  readonly repo: string;
  /** A full ref, such as `refs/heads/main`; what is fetched, as servers need not give out bare commits. */
  readonly ref?: string;
  /** The commit to build, and no other; undefined: the one that the ref has when a worker looks. */
  readonly sha?: string;
  /** For untrusted builds: the commit whose workflow bounds what this one may ask for. */
  readonly base?: { readonly ref: string; readonly sha?: string };
}

/** What was asked for: fixed when the build is accepted, never changed. */
export interface BuildSpec {
  /** ULID; its time is when the build was accepted. */
  readonly id: string;
  readonly project: string;
  readonly source: BuildSource;
  /** YAML text; undefined: the one found in the source. */
  readonly workflow?: string;
  readonly environment: Readonly<Record<string, string>>;
  /** 0 (last) to 9 (first) within the project; 5 when nobody says otherwise. */
  readonly priority: number;
  /** What a worker must offer to run it. */
  readonly labels: Readonly<Record<string, string>>;
  /** Builds of one project and group run one after another. */
  readonly group?: string;
  /** ISO 8601: not to be started earlier. */
  readonly notBefore?: string;
  /** Id of the token that submitted it, or what stands for it: `hook:NAME`, `cron:NAME`. */
  readonly requestedBy: string;
  readonly trigger: Trigger;
  readonly trust: Trust;
  /** A newer build with the same key of the project cancels this one. */
  readonly supersedeKey?: string;
  /** `approval`: waits in the queue until somebody approves it. */
  readonly hold?: 'approval';
  /** Whether the forge of the source's repository is told how the build fares. */
  readonly report?: 'commit-status';
  /** The build that this one repeats. */
  readonly retryOf?: string;
}

/** What the record says of the request itself, whatever becomes of the build. */
export function requestedPart(spec: BuildSpec) {
  const source = spec.source.kind === 'none' ? undefined : spec.source;
  return {
    id: spec.id,
    createdAt: new Date(decodeTime(spec.id)).toISOString(),
    project: spec.project,
    trigger: spec.trigger,
    trust: spec.trust,
    priority: spec.priority,
    labels: spec.labels,
    ...(spec.group !== undefined && { group: spec.group }),
    ...(spec.notBefore !== undefined && { notBefore: spec.notBefore }),
    ...(spec.retryOf !== undefined && { retryOf: spec.retryOf }),
    source: {
      repo: source?.repo ?? spec.project,
      ...(source?.ref !== undefined && { ref: shortRef(source.ref) }),
      ...(source?.sha !== undefined && { sha: source.sha }),
    },
  } satisfies Partial<BuildRecord>;
}

/** The record of a build that nothing has happened to yet. */
export function queuedRecord(spec: BuildSpec): BuildRecord {
  return {
    ...requestedPart(spec),
    status: 'queued',
    attempt: 0,
    timings: { queuedMs: 0, prepareMs: 0, sandboxMs: 0, runMs: 0, collectMs: 0, destroyMs: 0 },
    usage: { cpuSeconds: 0, memoryPeakBytes: 0, diskPeakBytes: 0 },
    workflows: [],
    artifacts: [],
    log: { bytes: 0, truncated: false, cutBytes: 0 },
    attempts: [],
  };
}
