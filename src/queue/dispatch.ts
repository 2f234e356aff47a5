import { Queue } from 'bullmq';
import type { Redis } from 'ioredis';
import type { RedisHandle } from '../redis.ts';
import type { Flat } from './replies.ts';
import type { Call } from './scripts.ts';

/** A build that waits in BullMQ to be claimed. `n` tells its hand-overs apart. */
export interface Handed {
  readonly id: string;
  readonly n: number;
  readonly class: string;
}

/** Scripts reply with them flat: id, n, class, id, n, class, … */
export function parseHanded(items: Flat): Handed[] {
  return Array.from({ length: items.length / 3 }, (_, i) => ({
    id: String(items[3 * i]),
    n: Number(items[3 * i + 1]),
    class: String(items[3 * i + 2]),
  }));
}

/** A BullMQ job is no more than the build's id; everything else is in the record. */
function jobId({ id, n }: Pick<Handed, 'id' | 'n'>): string {
  return `${id}.${n}`;
}

export function parseJobId(job: string): Pick<Handed, 'id' | 'n'> {
  const [id = '', n = ''] = job.split('.');
  return { id, n: Number(n) };
}

export function queueName(workerClass: string): string {
  return workerClass === '-' ? 'builds' : `builds-${workerClass}`;
}

export function bullPrefix(prefix: string): string {
  return `${prefix}bull`;
}

/** States of a BullMQ job in which a worker will come by it. */
const onItsWay = new Set(['waiting', 'prioritized', 'delayed', 'waiting-children']);

/** Hands admitted builds to BullMQ, and again when BullMQ lost them. */
export function createDispatcher(redis: RedisHandle, call: Call, lostMs: number) {
  const queues = new Map<string, Queue>();
  let seen = new Map<string, number>();
  let connection: Redis | undefined;

  const queueOf = (workerClass: string): Queue => {
    const known = queues.get(workerClass);
    if (known) return known;
    const queue = new Queue(queueName(workerClass), {
      connection: (connection ??= redis.duplicate('dispatch')),
      prefix: bullPrefix(redis.prefix),
      // Nobody reads BullMQ's events.
      streams: { events: { maxLen: 100 } },
      defaultJobOptions: { removeOnComplete: true, removeOnFail: true },
    });
    // Its calls reject by themselves.
    queue.on('error', () => {});
    queues.set(workerClass, queue);
    return queue;
  };

  const add = async (builds: readonly Handed[]): Promise<void> => {
    for (const [workerClass, group] of Map.groupBy(builds, (build) => build.class)) {
      const jobs = group.map((build) => ({ name: 'build', data: {}, opts: { jobId: jobId(build) } }));
      await queueOf(workerClass).addBulk(jobs);
    }
  };

  const isLost = async (build: Handed): Promise<boolean> => {
    const state = await queueOf(build.class).getJobState(jobId(build));
    if (state !== 'active') return !onItsWay.has(state);
    const lock = `${bullPrefix(redis.prefix)}:${queueName(build.class)}:${jobId(build)}:lock`;
    return (await redis.client.exists(lock)) === 0;
  };

  return {
    add,
    /** Looks at all builds handed over and not claimed; those that BullMQ lost are handed over anew. */
    recheck: async (ready: readonly Handed[]): Promise<void> => {
      const now = performance.now();
      seen = new Map(ready.map((build) => [jobId(build), seen.get(jobId(build)) ?? now]));
      for (const build of ready) {
        if (now - (seen.get(jobId(build)) ?? now) < lostMs) continue;
        seen.set(jobId(build), now);
        if (await isLost(build)) await add(parseHanded(await call('handAgain', build.id, build.n)));
      }
    },
    close: async (): Promise<void> => {
      await Promise.all([...queues.values()].map((queue) => queue.close()));
      connection?.disconnect();
    },
  };
}

export type Dispatcher = ReturnType<typeof createDispatcher>;
