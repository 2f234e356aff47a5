import { Queue } from 'bullmq';
import { bullPrefix } from '../queue/dispatch.ts';
import type { RedisHandle } from '../redis.ts';
import type { Schedule } from './schedule.ts';

export const cronQueue = 'crons';

/** Which cron job it is. */
export interface CronPlace {
  readonly repository: string;
  readonly name: string;
}

/** BullMQ's name of its scheduler: one for all spellings of the repository's. */
export function schedulerOf({ repository, name }: CronPlace): string {
  return `${repository.toLowerCase()}/${name}`;
}

/** Which cron job a job of BullMQ is for, and when it was to run; undefined: none of ours. */
export function parseRun(job: string): (CronPlace & { readonly at: Date }) | undefined {
  const [, repository, name, at] = /^repeat:(.+)\/([^/:]+):(\d+)$/.exec(job) ?? [];
  return repository !== undefined && name !== undefined
    ? { repository, name, at: new Date(Number(at)) }
    : undefined;
}

/** A run that fails is tried again, at last after more than half an hour; one that is too late is left out then. */
const opts = {
  attempts: 12,
  backoff: { type: 'exponential', delay: 1_000 },
  removeOnComplete: true,
  removeOnFail: true,
};

/** A scheduler whose next run is that long ago, and is not there, has lost it. */
const lostMs = 60_000;

/** BullMQ's schedulers of cron jobs. They follow from the repositories, and are made anew when they are lost. */
export function createScheduler(redis: RedisHandle) {
  const connection = redis.duplicate('crons');
  const queue = new Queue(cronQueue, {
    connection,
    prefix: bullPrefix(redis.prefix),
    // Nobody reads BullMQ's events.
    streams: { events: { maxLen: 100 } },
  });
  // Its calls reject by themselves.
  queue.on('error', () => {});

  const set = async (id: string, { schedule, timezone }: Schedule): Promise<void> => {
    await queue.upsertJobScheduler(id, { pattern: schedule, tz: timezone }, { name: 'cron', opts });
  };
  const isLost = async (id: string, next: number | undefined): Promise<boolean> =>
    next === undefined ||
    (next < Date.now() - lostMs && (await queue.getJob(`repeat:${id}:${next}`)) === undefined);

  return {
    set,
    remove: async (id: string): Promise<void> => {
      await queue.removeJobScheduler(id);
    },
    /**
     * Makes the schedulers what they are wanted to be. One that is right stays as it is: setting it again would forget
     * a run that is due. @param wanted asked after BullMQ's own, so that what was added meanwhile is not removed
     */
    reconcile: async (wanted: () => Promise<ReadonlyMap<string, Schedule>>): Promise<void> => {
      const there = new Map((await queue.getJobSchedulers(0, -1)).map((each) => [each.key, each]));
      const jobs = await wanted();
      for (const id of there.keys()) if (!jobs.has(id)) await queue.removeJobScheduler(id);
      for (const [id, job] of jobs) {
        const known = there.get(id);
        const isRight = known?.pattern === job.schedule && known.tz === job.timezone;
        if (!isRight || (await isLost(id, known.next))) await set(id, job);
      }
    },
    close: async (): Promise<void> => {
      await queue.close();
      connection.disconnect();
    },
  };
}
