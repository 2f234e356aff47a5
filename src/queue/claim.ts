import type { AttemptRecord, BuildRecord, Reason } from '../build.ts';
import type { Bell } from '../logs/bell.ts';
import type { Fence } from '../records.ts';
import { type BuildSpec, queuedRecord } from '../spec.ts';
import type { Announced, Announcement } from './turns.ts';

/** A build that this worker runs. */
export interface Claim {
  readonly spec: BuildSpec;
  readonly fence: Fence;
  /** As it stands, with the attempts so far and this one. */
  readonly record: BuildRecord;
  /** A user wants it to end: the handler ends it as `canceled`, or as what it was already. */
  readonly canceled: AbortSignal;
  /** The build may soon run somewhere else: stop it within 3 s and write nothing. What the handler returns is dropped. */
  readonly lost: AbortSignal;
  /**
   * To be told before a workflow begins. Rejects with the signal's reason. `aside`: the handler is to end as that says.
   */
  readonly announce: (what: Announcement, signal: AbortSignal) => Promise<Announced>;
}

/** How a handler ends. */
export type Result =
  /** The verdict; the record's status is an ended one. */
  | { readonly kind: 'finished'; readonly record: BuildRecord }
  /**
   * The worker is drained, or lacks what the build turns out to need: it goes back to its place in the queue, from now on
   * for workers with these labels, and nothing is held against it.
   */
  | {
      readonly kind: 'requeue';
      readonly reason: string;
      readonly labels?: Readonly<Record<string, string>>;
      /** If its source is known by now: the next worker takes the same commit. */
      readonly record?: BuildRecord;
    }
  /** It waits for a turn of its workflows and makes room for others until it comes; this was no attempt. */
  | {
      readonly kind: 'aside';
      readonly reason: string;
      /** Whose commit the next worker takes. */
      readonly record: BuildRecord;
    }
  /** The platform failed, not the build: tried again later, elsewhere if possible. */
  | {
      readonly kind: 'infrastructure';
      readonly record: BuildRecord;
      readonly reason: Reason;
      readonly message: string;
      /** Tries in all, this one included: after so many failures the build ends as `errored`. Default 3. */
      readonly mostTries?: number;
    };

export type Handler = (claim: Claim) => Promise<Result>;

/** A claim as the worker keeps it. */
export interface Held {
  readonly id: string;
  /** Which hand-over it came with. */
  readonly n: number;
  readonly session: string;
  /** 0 while the claim is not answered. */
  attempt: number;
  readonly canceled: AbortController;
  readonly lost: AbortController;
  /** Rung when a turn may have come. */
  readonly bells: Set<Bell>;
  /** By the monotonic clock, ms. */
  lostAt?: number;
}

/** What the handler sees of a claim that was answered. `sha`: the commit that an earlier attempt built, or ''. */
export function makeClaim(
  { id, session, attempt, canceled, lost }: Held,
  spec: BuildSpec,
  { number, attempts, sha }: { number: number; attempts: AttemptRecord[]; sha: string },
): Omit<Claim, 'announce'> {
  const startedAt = attempts.at(-1)?.startedAt;
  const queued = queuedRecord(spec);
  const record: BuildRecord = {
    ...queued,
    source: { ...queued.source, ...(sha !== '' && { sha }) },
    status: 'running',
    number,
    attempt,
    attempts,
    ...(startedAt !== undefined && { startedAt }),
  };
  const fence = { id, attempt, worker: session };
  return { spec, fence, record, canceled: canceled.signal, lost: lost.signal };
}
