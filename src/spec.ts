import { decodeTime } from 'ulid';
import type { BuildRecord } from './build.ts';

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
  | { readonly kind: 'none' };

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
  /** Id of the token that submitted it. */
  readonly requestedBy: string;
  /** The build that this one repeats. */
  readonly retryOf?: string;
}

/** What the record says of the request itself, whatever becomes of the build. */
export function requestedPart(spec: BuildSpec) {
  const source = spec.source.kind === 'upload' ? spec.source : undefined;
  return {
    id: spec.id,
    createdAt: new Date(decodeTime(spec.id)).toISOString(),
    project: spec.project,
    priority: spec.priority,
    labels: spec.labels,
    ...(spec.group !== undefined && { group: spec.group }),
    ...(spec.notBefore !== undefined && { notBefore: spec.notBefore }),
    ...(spec.retryOf !== undefined && { retryOf: spec.retryOf }),
    source: {
      repo: source?.repo ?? spec.project,
      ...(source?.ref !== undefined && { ref: source.ref }),
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
    trigger: { kind: 'manual' },
    timings: { queuedMs: 0, prepareMs: 0, sandboxMs: 0, runMs: 0, collectMs: 0, destroyMs: 0 },
    usage: { cpuSeconds: 0, memoryPeakBytes: 0, diskPeakBytes: 0 },
    workflows: [],
    artifacts: [],
    log: { bytes: 0, truncated: false, cutBytes: 0 },
    attempts: [],
  };
}
