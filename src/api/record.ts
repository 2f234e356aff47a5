import { Type } from 'typebox';
import type { BuildRecord } from '../build.ts';
import { named } from './schema.ts';
import { TriggerSchema } from './trigger.ts';

const instant = (description?: string) =>
  Type.String({ format: 'date-time', ...(description !== undefined && { description }) });
const count = (description?: string) =>
  Type.Integer({ minimum: 0, ...(description !== undefined && { description }) });

/** The states of a build, for records and for filters of lists. */
export const Status = Type.Enum(
  ['queued', 'running', 'passed', 'failed', 'errored', 'canceled', 'timed_out'] as const,
  {
    $id: 'Status',
    type: 'string',
    description: '`failed` is the code that was built; `errored` is what it was built on.',
  },
);

const Reason = Type.String({
  description:
    'Why it ended so: exit, oom, disk, pids, timeout, canceled, service, invalid, image, source, worker-lost, …',
});

const StepStatus = Type.Enum([...Status.enum, 'skipped'], { type: 'string' });

const container = {
  name: Type.String(),
  status: StepStatus,
  exitCode: Type.Optional(Type.Integer()),
  reason: Type.Optional(Reason),
  image: Type.Optional(Type.Object({ ref: Type.String(), digest: Type.String() })),
  startedAt: Type.Optional(instant()),
  finishedAt: Type.Optional(instant()),
};
const dependsOn = (description: string) => Type.Optional(Type.Array(Type.String(), { description }));

/** One step of a build. */
export const StepRecord = Type.Object(
  {
    ...container,
    dependsOn: dependsOn('The steps it waited for; absent where each waits for the one before it.'),
    because: Type.Optional(
      Type.String({ description: 'The step whose failure is why this one was skipped.' }),
    ),
  },
  { $id: 'Step' },
);

/** A side container of a workflow. */
export const ServiceRecord = Type.Object(container, {
  $id: 'Service',
  description:
    '`passed`: it was there as long as the steps needed it; `failed` by `timeout`: not ready in time.',
});

const CacheRecord = Type.Object({
  name: Type.String(),
  restored: Type.Enum(['exact', 'newest', 'none'] as const, {
    type: 'string',
    description: '`exact`: what was saved for the same key files; `newest`: what was saved last for others.',
  }),
  restoredBytes: Type.Optional(count()),
  savedBytes: Type.Optional(count()),
});

const Workflow = Type.Object(
  {
    name: Type.String(),
    status: StepStatus,
    reason: Type.Optional(Reason),
    message: Type.Optional(Type.String()),
    dependsOn: dependsOn('The workflows it waited for.'),
    because: Type.Optional(
      Type.String({ description: 'The workflow whose failure is why this one was skipped.' }),
    ),
    startedAt: Type.Optional(instant()),
    finishedAt: Type.Optional(instant()),
    steps: Type.Array(named(StepRecord)),
    services: Type.Optional(Type.Array(named(ServiceRecord))),
    caches: Type.Optional(Type.Array(CacheRecord)),
  },
  { $id: 'Workflow', description: 'What ran in one sandbox.' },
);

const Attempt = Type.Object(
  {
    attempt: Type.Integer({ minimum: 1 }),
    worker: Type.String(),
    startedAt: instant(),
    finishedAt: Type.Optional(instant()),
    status: Type.Optional(named(Status)),
    reason: Type.Optional(Reason),
    message: Type.Optional(Type.String()),
  },
  {
    $id: 'Attempt',
    description: 'One try of a worker; the platform tries again when it was at fault itself.',
  },
);

/** What a build left for its user. */
export const Artifact = Type.Object(
  {
    path: Type.String({ description: 'Relative to the workspace.', examples: ['dist/a.tgz'] }),
    size: count('Bytes.'),
    sha256: Type.String({ pattern: '^[0-9a-f]{64}$' }),
  },
  { $id: 'Artifact' },
);

const milliseconds = ['queuedMs', 'prepareMs', 'sandboxMs', 'runMs', 'collectMs', 'destroyMs'] as const;

/** What users see of a build. */
export type PublicBuild = Omit<BuildRecord, 'storage'> & {
  /** Why it waits. */
  readonly waiting?: string;
};

/** The record without what only the service needs to know. */
export function publicRecord({ storage: _storage, ...record }: BuildRecord): PublicBuild {
  return record;
}

const BuildDocument = Type.Object(
  {
    id: Type.String({ description: 'ULID.', pattern: '^[0-7][0-9A-HJKMNP-TV-Z]{25}$' }),
    project: Type.String(),
    status: named(Status),
    reason: Type.Optional(Reason),
    message: Type.Optional(
      Type.String({
        description:
          'For `errored`: what went wrong and what to do; for `canceled`: which build superseded it.',
      }),
    ),
    attempt: count('Tries so far; 0 until a worker takes the build.'),
    attempts: Type.Optional(Type.Array(named(Attempt))),
    source: Type.Object({
      repo: Type.String(),
      ref: Type.Optional(Type.String()),
      sha: Type.Optional(Type.String()),
    }),
    number: Type.Optional(Type.Integer({ minimum: 1, description: 'Counts the builds of the project.' })),
    trigger: named(TriggerSchema),
    trust: Type.Optional(
      Type.Enum(['trusted', 'untrusted'] as const, {
        type: 'string',
        description: '`untrusted`: of a pull request from a fork.',
      }),
    ),
    approved: Type.Optional(
      Type.Object(
        { by: Type.String({ description: 'Name of the token.' }), at: instant() },
        { description: 'Who let a held build run.' },
      ),
    ),
    unreported: Type.Optional(
      Type.String({ description: 'Why the forge was not told how the build fares.' }),
    ),
    priority: Type.Optional(Type.Integer({ minimum: 0, maximum: 9 })),
    labels: Type.Optional(
      Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: { type: 'string' } }),
    ),
    group: Type.Optional(Type.String()),
    notBefore: Type.Optional(instant()),
    retryOf: Type.Optional(Type.String({ description: 'The build that this one repeats.' })),
    createdAt: instant(),
    startedAt: Type.Optional(instant()),
    finishedAt: Type.Optional(instant()),
    timings: Type.Object(
      Object.fromEntries(milliseconds.map((name) => [name, Type.Number({ minimum: 0 })])),
      {
        description: 'Milliseconds spent in each phase.',
      },
    ),
    usage: Type.Object({
      cpuSeconds: Type.Number({ minimum: 0 }),
      memoryPeakBytes: count(),
      diskPeakBytes: count(),
    }),
    workflows: Type.Array(named(Workflow)),
    artifacts: Type.Array(named(Artifact)),
    log: Type.Object({ bytes: count(), truncated: Type.Boolean(), cutBytes: count() }),
    waiting: Type.Optional(
      Type.String({
        description: 'Why a queued build waits, in one sentence; only when it is asked for alone.',
      }),
    ),
  },
  { $id: 'Build' },
);

/** The document of a PublicBuild. */
export const Build = Type.Unsafe<PublicBuild>(BuildDocument);

export const recordSchemas = [
  TriggerSchema,
  Status,
  StepRecord,
  ServiceRecord,
  Workflow,
  Attempt,
  Artifact,
  Build,
];
