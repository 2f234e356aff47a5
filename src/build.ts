/** A build and its steps: states, what moves them, and the record that users see. Pure. */

import type { Trigger, Trust } from './trigger.ts';

export type Status = 'queued' | 'running' | 'passed' | 'failed' | 'errored' | 'canceled' | 'timed_out';
export type StepStatus = Status | 'skipped';

/**
 * Why a build or step ended as it did.
 * `exit` (the command's own code), `oom`, `disk`, `pids`, `timeout`, `canceled`: of the build. `service`: one that it
 * needs did not get ready, or ended before its steps did.
 * `invalid` (workflow), `image`, `registry` (it may answer later), `source`, `sandbox`, `artifacts`: what had to be there was not. `internal`: a bug.
 * `worker-lost`: the machine that ran it died or lost its connection.
 */
export type Reason =
  | 'exit'
  | 'oom'
  | 'disk'
  | 'pids'
  | 'timeout'
  | 'canceled'
  | 'service'
  | 'invalid'
  | 'image'
  | 'registry'
  | 'source'
  | 'sandbox'
  | 'artifacts'
  | 'internal'
  | 'worker-lost';

/** How a build ended: one value, and the first one stays. */
export type Outcome =
  | { readonly status: 'passed' }
  | {
      readonly status: 'failed';
      readonly reason: 'exit' | 'oom' | 'disk' | 'pids' | 'timeout' | 'service' | 'artifacts';
      readonly message?: string;
    }
  | { readonly status: 'errored'; readonly reason: Reason; readonly message: string }
  | { readonly status: 'canceled'; readonly reason: 'canceled' }
  | { readonly status: 'timed_out'; readonly reason: 'timeout' };

/** What ran in a container. */
interface ContainerRecord {
  readonly name: string;
  readonly status: StepStatus;
  readonly exitCode?: number;
  readonly reason?: Reason;
  readonly image?: { readonly ref: string; readonly digest: string };
  /** ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

export interface StepRecord extends ContainerRecord {
  /** The steps it waited for; absent where each waits for the one before it. */
  readonly dependsOn?: readonly string[];
  /** The step whose failure is why this one was skipped. */
  readonly because?: string;
}

/** `passed`: it was there as long as the steps needed it; `failed` with `timeout`: it was not ready in time. */
export type ServiceRecord = ContainerRecord;

export interface WorkflowRecord {
  readonly name: string;
  readonly status: StepStatus;
  readonly reason?: Reason;
  readonly message?: string;
  /** Workflows of the build that it waited for; absent when there are none. */
  readonly dependsOn?: readonly string[];
  /** The workflow whose failure is why this one was skipped. */
  readonly because?: string;
  /** ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly steps: readonly StepRecord[];
  /** Absent when there are none. */
  readonly services?: readonly ServiceRecord[];
  /** Absent when there are none. */
  readonly caches?: readonly CacheRecord[];
}

/** What a cache did for a workflow. */
export interface CacheRecord {
  readonly name: string;
  /** `exact`: what was saved for the same key files; `newest`: what was saved last for others. */
  readonly restored: 'exact' | 'newest' | 'none';
  /** Of its files, when it was restored, and when it was saved; absent when it was not. */
  readonly restoredBytes?: number;
  readonly savedBytes?: number;
}

export interface ArtifactRecord {
  readonly path: string;
  readonly size: number;
  /** Lower-case hex. */
  readonly sha256: string;
}

/** Milliseconds spent in each phase. */
export interface Timings {
  readonly queuedMs: number;
  readonly prepareMs: number;
  readonly sandboxMs: number;
  readonly runMs: number;
  readonly collectMs: number;
  readonly destroyMs: number;
}

/** One try of a build on one worker; the service tries again when its own machinery failed. */
export interface AttemptRecord {
  /** From 1. */
  readonly attempt: number;
  /** The worker's id. */
  readonly worker: string;
  readonly startedAt: string;
  readonly finishedAt?: string;
  /** Absent while it runs, and when the attempt was given back without a verdict (its worker was drained). */
  readonly status?: Status;
  readonly reason?: Reason;
  readonly message?: string;
}

export interface BuildRecord {
  /** ULID. */
  readonly id: string;
  readonly status: Status;
  readonly reason?: Reason;
  /** For `errored`: what went wrong and what to do; also which build superseded a canceled one. */
  readonly message?: string;
  readonly attempt: number;
  readonly source: { readonly repo: string; readonly ref?: string; readonly sha?: string };
  readonly trigger: Trigger;
  readonly createdAt: string;
  readonly startedAt?: string;
  readonly finishedAt?: string;
  readonly timings: Timings;
  readonly usage: {
    readonly cpuSeconds: number;
    readonly memoryPeakBytes: number;
    readonly diskPeakBytes: number;
  };
  readonly workflows: readonly WorkflowRecord[];
  readonly artifacts: readonly ArtifactRecord[];
  /** `bytes`: the whole log, as it is stored and what was cut from it; `cutBytes`: missing between head and tail. */
  readonly log: { readonly bytes: number; readonly truncated: boolean; readonly cutBytes: number };
  /** What follows only the service knows; `cofferdam run` leaves it out. */
  readonly project?: string;
  /** Counts the builds of the project, from 1. */
  readonly number?: number;
  readonly trust?: Trust;
  /** Who let a build run that was held, and when (ISO 8601). */
  readonly approved?: { readonly by: string; readonly at: string };
  /** Why the forge was not told how the build fares. */
  readonly unreported?: string;
  /** 0 (last) to 9 (first), within the project. */
  readonly priority?: number;
  /** What a worker must offer. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Builds of one project and group run one after another. */
  readonly group?: string;
  readonly notBefore?: string;
  /** The build that this one repeats. */
  readonly retryOf?: string;
  readonly attempts?: readonly AttemptRecord[];
  /** Where the log and the artifacts of the deciding attempt are kept: a key prefix, ending in `/`. */
  readonly storage?: { readonly prefix: string };
}
