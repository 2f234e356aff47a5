import type { AttemptRecord, BuildRecord, Reason, Status, StepRecord } from '../build.ts';
import { parseOwn } from './json.ts';
import { type BuildSpec, queuedRecord, requestedPart } from '../spec.ts';

/** Fields of `b:<id>` that make a record; in the order of recordFields(). */
export const recordFields = [
  'status',
  'attempt',
  'record',
  'spec',
  'attempts',
  'end',
  'at',
  'unreported',
  'number',
  'approved',
  'why',
  'sha',
] as const;

const statuses = ['queued', 'running', 'passed', 'failed', 'errored', 'canceled', 'timed_out'] as const;

type Fields = readonly (string | null)[];

/** What ended a build that no worker's record tells of: canceled in the queue, or its last worker was lost. */
interface End {
  readonly reason: Reason;
  readonly message?: string;
  readonly finishedAt: string;
}

/** A build as Redis has it. */
export type StoredFields =
  | { readonly kind: 'live'; readonly spec: BuildSpec; readonly record: BuildRecord }
  /** `spec` undefined: too long to be kept. `whole` false: the record lacks steps and artifacts. */
  | {
      readonly kind: 'archived';
      readonly spec: BuildSpec | undefined;
      readonly record: BuildRecord;
      readonly whole: boolean;
    };

/** Reads the fields of recordFields; undefined: there is no such build. */
export function parseStored(fields: Fields): StoredFields | undefined {
  const [status, attempt, record, spec, attempts, end, at, unreported, number, approved, why, sha] = fields;
  if (!status) return undefined;
  const stored = record ? parseOwn<BuildRecord>(record) : undefined;
  if (stored && (at === 'archived' || at === 'cut')) {
    const parsed = spec ? parseOwn<BuildSpec>(spec) : undefined;
    // Noted, perhaps, when the record was in the archive already.
    const shown = unreported ? { ...stored, unreported } : stored;
    return { kind: 'archived', spec: parsed, record: shown, whole: at === 'archived' };
  }
  const parsed = parseOwn<BuildSpec>(spec ?? '');
  return {
    kind: 'live',
    spec: parsed,
    record: compose(parsed, stored, {
      status: parseStatus(status),
      attempt: Number(attempt ?? 0),
      attempts: attempts ? parseOwn<AttemptRecord[]>(attempts) : [],
      end: end ? parseOwn<End>(end) : undefined,
      sha: sha ?? undefined,
      noted: {
        ...(number && { number: Number(number) }),
        ...(approved && { approved: parseOwn<NonNullable<BuildRecord['approved']>>(approved) }),
        ...(unreported && { unreported }),
        ...(why && status === 'canceled' && { message: why }),
      },
    }),
  };
}

/** A word of the data, or of a message, that names a state. Throws TypeError. */
export function parseStatus(word: string): Status {
  const status = statuses.find((each) => each === word);
  if (status) return status;
  throw new TypeError(`'${word}' is no state of a build`);
}

/** What the worker reported, with what only the queue knows written over it. */
function compose(
  spec: BuildSpec,
  reported: BuildRecord | undefined,
  {
    status,
    attempt,
    attempts,
    end,
    sha,
    noted,
  }: {
    readonly status: Status;
    readonly attempt: number;
    readonly attempts: readonly AttemptRecord[];
    readonly end: End | undefined;
    /** The commit that an earlier attempt had. */
    readonly sha: string | undefined;
    readonly noted: Partial<BuildRecord>;
  },
): BuildRecord {
  const requested = requestedPart(spec);
  const base = reported ?? queuedRecord(spec);
  const startedAt = base.startedAt ?? (status === 'queued' ? undefined : attempts.at(-1)?.startedAt);
  const ended = status !== 'queued' && status !== 'running';
  return {
    ...base,
    ...requested,
    source: { ...requested.source, ...(sha !== undefined && { sha }), ...base.source },
    status,
    attempt,
    attempts,
    ...noted,
    ...(startedAt !== undefined && { startedAt }),
    // Where nobody gave a verdict, the log is put in order first; the archive then says where it is.
    ...(ended && !end && { storage: { prefix: attemptPrefix(spec.id, attempt) } }),
    ...(end && {
      ...end,
      workflows: base.workflows.map((workflow) => ({ ...workflow, ...cutShort(workflow, status) })),
    }),
  };
}

function cutShort({ steps }: { readonly steps: readonly StepRecord[] }, status: Status) {
  const stopped = (step: StepRecord): StepRecord => {
    if (step.status === 'running') return { ...step, status };
    return step.status === 'queued' ? { ...step, status: 'skipped' } : step;
  };
  return { status, steps: steps.map(stopped) };
}

/** Where an attempt keeps its log and artifacts in storage; no other attempt writes there. */
export function attemptPrefix(id: string, attempt: number): string {
  return `builds/${id}/attempts/${attempt}/`;
}
