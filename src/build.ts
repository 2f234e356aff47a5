/** A build and its steps: states, what moves them, and the record that users see. Pure. */

export type Status = 'queued' | 'running' | 'passed' | 'failed' | 'errored' | 'canceled' | 'timed_out';
export type StepStatus = Status | 'skipped';

/**
 * Why a build or step ended as it did.
 * `exit` (the command's own code), `oom`, `disk`, `pids`, `timeout`, `canceled`: of the build.
 * `invalid` (workflow), `image`, `source`, `sandbox`, `artifacts`: what had to be there was not. `internal`: a bug.
 */
export type Reason =
  | 'exit'
  | 'oom'
  | 'disk'
  | 'pids'
  | 'timeout'
  | 'canceled'
  | 'invalid'
  | 'image'
  | 'source'
  | 'sandbox'
  | 'artifacts'
  | 'internal';

/** How a build ended: one value, and the first one stays. */
export type Outcome =
  | { readonly status: 'passed' }
  | {
      readonly status: 'failed';
      readonly reason: 'exit' | 'oom' | 'disk' | 'pids' | 'artifacts';
      readonly message?: string;
    }
  | { readonly status: 'errored'; readonly reason: Reason; readonly message: string }
  | { readonly status: 'canceled'; readonly reason: 'canceled' }
  | { readonly status: 'timed_out'; readonly reason: 'timeout' };

export interface StepRecord {
  readonly name: string;
  readonly status: StepStatus;
  readonly exitCode?: number;
  readonly reason?: Reason;
  readonly image?: { readonly ref: string; readonly digest: string };
  /** ISO 8601, UTC. */
  readonly startedAt?: string;
  readonly finishedAt?: string;
}

interface WorkflowRecord {
  readonly name: string;
  readonly status: Status;
  readonly steps: readonly StepRecord[];
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

export interface BuildRecord {
  /** ULID. */
  readonly id: string;
  readonly status: Status;
  readonly reason?: Reason;
  /** What went wrong and what to do, for `errored`. */
  readonly message?: string;
  readonly attempt: number;
  readonly source: { readonly repo: string; readonly ref?: string; readonly sha?: string };
  readonly trigger: { readonly kind: 'manual' };
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
  /** `bytes`: all that the build wrote; `cutBytes`: how much of it is missing between head and tail. */
  readonly log: { readonly bytes: number; readonly truncated: boolean; readonly cutBytes: number };
}
