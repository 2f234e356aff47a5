import type { FastifyInstance } from 'fastify';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { Type } from 'typebox';
import type { BuildRecord } from '../build.ts';
import type { QueueStats } from '../queue/stats.ts';
import type { StatusCounts } from '../statuses.ts';
import type { App, Context } from './service.ts';

const phases = ['prepare', 'sandbox', 'run', 'collect', 'destroy'] as const;

/** From a sandbox's milliseconds to a build's hour, in seconds. */
const phaseBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];
const waitBuckets = [0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 14_400];
const httpBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** `/metrics` in the text format of Prometheus. Returns what counts a build that ended. */
export function metrics(
  app: App,
  { queue, redis, reach, streams, statuses }: Context,
): (record: BuildRecord) => void {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  measureRequests(app, registry);
  const queueStats = queueGauges(registry);
  const redisUp = new Gauge({ name: 'cofferdam_redis_up', help: '1 while Redis answers.', registers });
  const redisPing = new Gauge({
    name: 'cofferdam_redis_ping_seconds',
    help: 'Time of the last answer of Redis.',
    registers,
  });
  const followers = new Gauge({
    name: 'cofferdam_log_followers',
    help: 'Open log streams of this process.',
    registers,
  });

  const reports = statusMetrics(registry);

  const observe = async (): Promise<void> => {
    followers.set(streams.count);
    reports.count(statuses.counts);
    try {
      const began = performance.now();
      await reach(() => redis.client.ping());
      redisPing.set((performance.now() - began) / 1000);
      const stats = await reach(() => queue.stats());
      queueStats(stats);
      reports.wait(stats.reports);
      redisUp.set(1);
    } catch (error) {
      // Metrics are wanted most when Redis is away; the queue's are not known then.
      redisUp.set(0);
      queueStats(undefined);
      reports.wait(undefined);
      app.log.debug({ err: error }, 'no metrics of the queue');
    }
  };

  app.get(
    '/metrics',
    {
      config: { access: 'none', rateLimit: false },
      schema: {
        operationId: 'getMetrics',
        summary: 'Metrics for Prometheus',
        tags: ['service'],
        response: {
          200: { description: 'Text format 0.0.4.', content: { 'text/plain': { schema: Type.String() } } },
        },
      },
    },
    async (_request, reply) => {
      await observe();
      return reply.type(registry.contentType).send(await registry.metrics());
    },
  );

  return finishedBuilds(registry);
}

function measureRequests(app: FastifyInstance, registry: Registry): void {
  const durations = new Histogram({
    name: 'cofferdam_http_request_duration_seconds',
    help: 'Time to answer requests; log streams last as long as somebody follows.',
    labelNames: ['method', 'route', 'status'],
    buckets: httpBuckets,
    registers: [registry],
  });
  app.addHook('onResponse', (request, reply, done) => {
    // The pattern, not the path: its values are bounded.
    const route = request.routeOptions.url ?? 'unknown';
    const labels = { method: request.method, route, status: String(reply.statusCode) };
    durations.observe(labels, reply.elapsedTime / 1000);
    done();
  });
}

function queueGauges(registry: Registry): (stats: QueueStats | undefined) => void {
  const registers = [registry];
  const depth = new Gauge({
    name: 'cofferdam_queue_builds',
    help: 'Builds that are not finished, by state.',
    labelNames: ['state'],
    registers,
  });
  const oldest = new Gauge({
    name: 'cofferdam_queue_oldest_wait_seconds',
    help: 'How long the oldest build that could run has waited.',
    registers,
  });
  const workers = new Gauge({ name: 'cofferdam_workers', help: 'Live workers.', registers });
  const slots = new Gauge({
    name: 'cofferdam_worker_slots',
    help: 'Builds that all live workers run side by side.',
    labelNames: ['state'],
    registers,
  });

  return (stats) => {
    for (const gauge of [depth, oldest, workers, slots]) gauge.reset();
    if (!stats) return;
    for (const state of ['held', 'delayed', 'waiting', 'ready', 'running'] as const)
      depth.set({ state }, stats[state]);
    const since = stats.oldestWaitingSince;
    oldest.set(since === undefined ? 0 : Math.max(0, Date.now() - Date.parse(since)) / 1000);
    workers.set(stats.workers.length);
    const sum = (of: (worker: QueueStats['workers'][number]) => number) =>
      stats.workers.reduce((total, worker) => total + of(worker), 0);
    slots.set(
      { state: 'all' },
      sum((worker) => worker.slots),
    );
    slots.set(
      { state: 'busy' },
      sum((worker) => worker.running),
    );
  };
}

/** What forges were told, and are to be told. */
function statusMetrics(registry: Registry) {
  const registers = [registry];
  const waiting = new Gauge({
    name: 'cofferdam_commit_statuses_waiting',
    help: 'Commits whose forge is to be told how their builds fare.',
    registers,
  });
  const answers = new Counter({
    name: 'cofferdam_commit_statuses_total',
    help: 'Commit statuses that this process sent, by what came of it; refused: given up.',
    labelNames: ['outcome'],
    registers,
  });
  return {
    count: (counts: StatusCounts): void => {
      answers.reset();
      for (const outcome of ['told', 'failed', 'silent', 'denied', 'refused'] as const) {
        answers.inc({ outcome }, counts[outcome]);
      }
    },
    wait: (commits: number | undefined): void => {
      if (commits === undefined) waiting.reset();
      else waiting.set(commits);
    },
  };
}

function finishedBuilds(registry: Registry): (record: BuildRecord) => void {
  const registers = [registry];
  const finished = new Counter({
    name: 'cofferdam_builds_finished_total',
    help: 'Builds that ended since this process started, by any worker.',
    labelNames: ['status', 'reason'],
    registers,
  });
  const wait = new Histogram({
    name: 'cofferdam_build_wait_seconds',
    help: 'From the submit of a build to its last start.',
    buckets: waitBuckets,
    registers,
  });
  const phase = new Histogram({
    name: 'cofferdam_build_phase_seconds',
    help: 'Time that builds spent in each phase.',
    labelNames: ['phase'],
    buckets: phaseBuckets,
    registers,
  });

  const restored = new Counter({
    name: 'cofferdam_caches_restored_total',
    help: 'Caches of builds that ended, by what was found for them.',
    labelNames: ['match'],
    registers,
  });
  const cacheBytes = new Counter({
    name: 'cofferdam_cache_bytes_total',
    help: 'Bytes of files in caches that were restored and saved.',
    labelNames: ['direction'],
    registers,
  });

  return ({ status, reason, createdAt, startedAt, timings, workflows }) => {
    for (const cache of workflows.flatMap(({ caches = [] }) => caches)) {
      restored.inc({ match: cache.restored });
      cacheBytes.inc({ direction: 'restored' }, cache.restoredBytes ?? 0);
      cacheBytes.inc({ direction: 'saved' }, cache.savedBytes ?? 0);
    }
    finished.inc({ status, reason: reason ?? '' });
    if (startedAt === undefined) return;
    wait.observe(Math.max(0, Date.parse(startedAt) - Date.parse(createdAt)) / 1000);
    for (const name of phases) phase.observe({ phase: name }, timings[`${name}Ms`] / 1000);
  };
}
