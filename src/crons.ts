import { Worker } from 'bullmq';
import { ulid } from 'ulid';
import type { BuildRecord } from './build.ts';
import { type CronJob, mostCronJobs } from './crons/job.ts';
import { lastRun } from './crons/schedule.ts';
import { cronQueue, type CronPlace, createScheduler, parseRun, schedulerOf } from './crons/scheduler.ts';
import { bullPrefix } from './queue/dispatch.ts';
import { IdempotencyError } from './queue/idempotency.ts';
import type { Queue } from './queue.ts';
import type { RedisHandle } from './redis.ts';
import type { Repositories, Repository } from './repositories.ts';
import { intake } from './triggers/intake.ts';

/** There is no such repository or cron job, or there are too many of one repository; the message says which. */
export class CronRefusedError extends Error {
  override readonly name = 'CronRefusedError';
  readonly kind: 'unknown' | 'full';

  constructor(kind: CronRefusedError['kind'], message: string) {
    super(message);
    this.kind = kind;
  }
}

/**
 * Builds at set times. The cron jobs are the repositories'; when they run BullMQ tells one of the processes. Each run
 * makes one build, whatever crashes. Runs that were missed because nothing was there to make them: the last one is made up
 * for when it is at most an hour ago, the others are not.
 */
export interface Crons {
  /** Adds a cron job, or replaces the one of that name. Throws CronRefusedError. */
  put(repository: string, job: CronJob): Promise<void>;
  /** Throws CronRefusedError. */
  remove(place: CronPlace): Promise<void>;
  /** Builds it now, beside its schedule. Throws CronRefusedError, VaultError. @param by who asked for it */
  run(place: CronPlace, by: { readonly id: string; readonly name: string }): Promise<BuildRecord>;
  /** From now on this process makes builds. */
  start(): void;
  /** Mends what Redis lost, and what a crash left half done. To be called now and then by every process. */
  reconcile(): Promise<void>;
  close(): Promise<void>;
}

export interface CronsOptions {
  readonly redis: RedisHandle;
  readonly repositories: Repositories;
  readonly queue: Pick<Queue, 'submit'>;
  /** Told of runs that are tried again. */
  readonly onTrouble: (error: unknown) => void;
}

/** Milliseconds. */
const latest = 3_600_000;

/** Runs of one process at a time: many are due at the full hour. */
const sideBySide = 8;

export function openCrons({ redis, repositories, queue, onTrouble }: CronsOptions): Crons {
  const scheduler = createScheduler(redis);
  const working = new Set<Promise<void>>();
  let worker: Worker | undefined;

  const find = async ({ repository: of, name }: CronPlace) => {
    const repository = await repositories.get(of);
    const job = repository?.crons.find((each) => each.name === name);
    return repository && job && { repository, job };
  };
  const build = async (
    { repository, job }: { readonly repository: Repository; readonly job: CronJob },
    asked: { readonly by: string; readonly actor?: string; readonly at?: Date },
    key?: string,
  ): Promise<BuildRecord> => {
    const { actor, at } = asked;
    const branch = job.branch ?? repository.defaultBranch;
    const keys = await repositories.keys(repository.name);
    const made = intake(
      repository,
      {
        kind: 'build',
        trust: 'trusted',
        source: { ref: `refs/heads/${branch}` },
        trigger: {
          kind: 'cron',
          name: job.name,
          branch,
          ...(actor !== undefined && { actor }),
          ...(at && { at: at.toISOString() }),
        },
      },
      {
        id: ulid(),
        requestedBy: asked.by,
        report: keys?.forgeToken === undefined ? 'none' : 'forge',
        older: 'cancel',
      },
    );
    if (made.kind === 'ignored') throw new Error(`cron job ${job.name}: ${made.reason}`);
    return (await queue.submit(made.spec, key)).record;
  };

  /** What BullMQ woke us for may have been removed or changed since: what counts is when it is to run by now. */
  const take = async (run: CronPlace & { readonly at: Date }): Promise<void> => {
    const found = await find(run);
    if (!found) return;
    // The clock of who woke us may be ahead.
    const now = new Date(Math.max(Date.now(), run.at.getTime()));
    const at = lastRun(found.job, now, latest);
    if (!at) return;
    const by = `cron:${found.repository.name}/${found.job.name}`;
    try {
      await build(found, { by, at }, at.toISOString());
    } catch (error) {
      // It was made by a process that died since, and the repository was changed between.
      if (!(error instanceof IdempotencyError)) throw error;
    }
  };

  const known = async (place: CronPlace) => {
    const found = await find(place);
    if (found) return found;
    throw new CronRefusedError('unknown', `repository ${place.repository} has no cron job ${place.name}`);
  };
  const change = async (
    name: string,
    make: (jobs: readonly CronJob[]) => readonly CronJob[],
  ): Promise<Repository> => {
    const changed = await repositories.change(name, (old) => ({
      repository: { ...old, crons: make(old.crons) },
    }));
    if (changed) return changed;
    throw new CronRefusedError('unknown', `there is no repository ${name}`);
  };

  return {
    put: async (repository, job) => {
      await change(repository, (jobs) => {
        const others = jobs.filter(({ name }) => name !== job.name);
        if (others.length >= mostCronJobs) {
          const told = `repository ${repository} has ${mostCronJobs} cron jobs, which is as many as there may be`;
          throw new CronRefusedError('full', told);
        }
        return [...others, job].sort((a, b) => (a.name < b.name ? -1 : 1));
      });
      await scheduler.set(schedulerOf({ repository, name: job.name }), job);
    },
    remove: async (place) => {
      await known(place);
      await change(place.repository, (jobs) => jobs.filter(({ name }) => name !== place.name));
      await scheduler.remove(schedulerOf(place));
    },
    run: async (place, { id, name }) => await build(await known(place), { by: id, actor: name }),
    start: () => {
      worker ??= new Worker(
        cronQueue,
        async ({ id = '' }) => {
          const run = parseRun(id);
          if (!run) return;
          const done = take(run).finally(() => working.delete(done));
          working.add(done);
          await done;
        },
        {
          connection: redis.duplicate('crons'),
          prefix: bullPrefix(redis.prefix),
          concurrency: sideBySide,
          // Whoever works on it may die as often as it likes.
          maxStalledCount: 1_000_000,
        },
      );
      // Redis that is away: BullMQ goes on when it is back.
      worker.on('error', () => {});
      worker.on('failed', (_job, error) => onTrouble(error));
    },
    reconcile: () =>
      scheduler.reconcile(async () => {
        const all = await repositories.list();
        return new Map(
          all.flatMap(({ name: repository, crons }) =>
            crons.map((job) => [schedulerOf({ repository, name: job.name }), job] as const),
          ),
        );
      }),
    close: async () => {
      await Promise.allSettled(working);
      // It would wait for a Redis that is away. What it is told until then another process does, or this one some day.
      await worker?.close(true);
      await scheduler.close();
    },
  };
}
