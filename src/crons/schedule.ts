import { CronExpressionParser } from 'cron-parser';

/** When something is done, again and again. */
export interface Schedule {
  /** Minute, hour, day of the month, month and day of the week, as in crontab(5), with one blank between two. */
  readonly schedule: string;
  /** A name of the IANA's list, such as `Europe/Berlin`. */
  readonly timezone: string;
}

/** There cannot be such a cron job; `field` is the part of it that the message is about. */
export class CronJobError extends Error {
  override readonly name = 'CronJobError';
  readonly field: 'name' | 'schedule' | 'timezone' | 'branch';

  constructor(field: CronJobError['field'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.field = field;
  }
}

/**
 * Checks a schedule. cron-parser takes more than crontab(5) has (seconds, fewer fields, `H`, `L`, `#`, `?`, `@daily`),
 * which here is a mistake. Throws CronJobError.
 */
export function parseSchedule(text: string, timezone: string): Schedule {
  const fields = text.trim().split(/\s+/);
  if (fields.length !== 5) {
    throw new CronJobError(
      'schedule',
      `has not five fields but ${fields.length}; write minute, hour, day of the month, month, day of the week, as '0 3 * * 1-5'`,
    );
  }
  const strange = fields.find((field) => !isField(field));
  if (strange !== undefined) {
    throw new CronJobError(
      'schedule',
      `has the field '${strange}'; write numbers, names such as mon or jan, and * , - / between them`,
    );
  }
  if (!isTimezone(timezone)) {
    throw new CronJobError(
      'timezone',
      `'${timezone}' is no time zone; write a name such as Europe/Berlin, or UTC`,
    );
  }
  const schedule = { schedule: fields.join(' '), timezone };
  try {
    nextRuns(schedule, new Date(), 1);
  } catch (error) {
    const told = error instanceof Error ? error.message : String(error);
    throw new CronJobError('schedule', `is at no time: ${told}`, { cause: error });
  }
  return schedule;
}

/**
 * The runs after a moment, each found from the one before it, as BullMQ does. When the clock is put forward, a time that
 * is left out comes an hour later, at midnight not at all; when it is put back, a time of a fixed hour comes once.
 */
export function nextRuns({ schedule, timezone }: Schedule, after: Date, count: number): Date[] {
  const runs: Date[] = [];
  while (runs.length < count) {
    const currentDate = runs.at(-1) ?? after;
    runs.push(CronExpressionParser.parse(schedule, { tz: timezone, currentDate }).next().toDate());
  }
  return runs;
}

/** The last run of so many milliseconds up to a moment. */
export function lastRun(schedule: Schedule, until: Date, withinMs: number): Date | undefined {
  let last: Date | undefined;
  for (let from = new Date(until.getTime() - withinMs); ; ) {
    const [next] = nextRuns(schedule, from, 1);
    if (next === undefined || next > until) return last;
    last = from = next;
  }
}

const item = String.raw`(\*|(\d{1,2}|[a-z]{3})(-(\d{1,2}|[a-z]{3}))?)(\/\d{1,2})?`;
const form = new RegExp(`^${item}(,${item})*$`, 'i');
const isField = (text: string) => form.test(text);

/** Intl takes offsets too, which have no summer. */
function isTimezone(name: string): boolean {
  if (!/^[A-Za-z]/.test(name)) return false;
  try {
    Intl.DateTimeFormat('en', { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
