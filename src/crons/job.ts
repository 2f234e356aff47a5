import { GitRefError, parseBranch } from '../git/ref.ts';
import { shortRef } from '../trigger.ts';
import { CronJobError, parseSchedule, type Schedule } from './schedule.ts';

/** A build of a branch of a repository, again and again. */
export interface CronJob extends Schedule {
  /** `when: cron` of a workflow names it. */
  readonly name: string;
  /** Undefined: the default branch of the day. */
  readonly branch?: string;
}

/** What may be said of one. */
export interface CronJobRequest {
  readonly schedule: string;
  /** Default: UTC. */
  readonly timezone?: string;
  readonly branch?: string;
}

/** Of one repository. */
export const mostCronJobs = 100;

/** Checks a cron job. Throws CronJobError. */
export function parseCronJob(name: string, { schedule, timezone = 'UTC', branch }: CronJobRequest): CronJob {
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$/.test(name)) {
    throw new CronJobError(
      'name',
      `${JSON.stringify(name.slice(0, 100))} cannot name a cron job; use up to 100 letters, digits, '.', '_' and '-', ` +
        "none of '.' and '-' first",
    );
  }
  return {
    name,
    ...parseSchedule(schedule, timezone),
    ...(branch !== undefined && { branch: branchOf(branch) }),
  };
}

function branchOf(name: string): string {
  try {
    return shortRef(parseBranch(name));
  } catch (error) {
    if (!(error instanceof GitRefError)) throw error;
    throw new CronJobError('branch', error.message, { cause: error });
  }
}
