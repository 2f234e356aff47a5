import { Type } from 'typebox';
import type { CronJob, CronJobRequest } from '../crons/job.ts';
import { nextRuns } from '../crons/schedule.ts';
import { named } from './schema.ts';

const schedule = {
  type: 'string',
  minLength: 1,
  maxLength: 200,
  description: 'Minute, hour, day of the month, month and day of the week, as in crontab(5).',
  examples: ['0 3 * * 1-5'],
};
const timezone = {
  type: 'string',
  maxLength: 100,
  description: "A name of the IANA's list; default: UTC.",
  examples: ['Europe/Berlin'],
};
const branch = {
  type: 'string',
  minLength: 1,
  maxLength: 250,
  description: 'Default: the default branch of the day.',
};

/** The properties of a cron job. */
export const cronJob = {
  name: { type: 'string', maxLength: 100, description: 'As `when: cron` says it.' },
  schedule,
  timezone,
  branch,
};

/** The body of PUT /v1/crons/:repository/:name. */
export const CronRequest = Type.Unsafe<CronJobRequest>({
  $id: 'CronRequest',
  type: 'object',
  additionalProperties: false,
  required: ['schedule'],
  properties: { schedule, timezone, branch },
});

/** A cron job as it is answered. */
export interface ShownCron extends CronJob {
  readonly repository: string;
  /** The next three runs, ISO 8601. */
  readonly next: readonly string[];
}

const shownRuns = 3;

export function shownCron(repository: string, job: CronJob): ShownCron {
  const next = nextRuns(job, new Date(), shownRuns).map((each) => each.toISOString());
  return { repository, ...job, next };
}

export const CronSchema = Type.Unsafe<ShownCron>({
  $id: 'Cron',
  type: 'object',
  description: 'A build at set times.',
  required: ['repository', 'name', 'schedule', 'timezone', 'next'],
  properties: {
    repository: { type: 'string' },
    ...cronJob,
    next: {
      type: 'array',
      items: { type: 'string', format: 'date-time' },
      description: 'The next three runs.',
    },
  },
});

export const CronList = Type.Object({ crons: Type.Array(named(CronSchema)) }, { $id: 'CronList' });

export const cronSchemas = [CronRequest, CronSchema, CronList];
