import { availableParallelism, hostname } from 'node:os';
import pino, { type Logger } from 'pino';
import { thisHost } from '../runtime/host.ts';
import { holderFile } from '../runtime/host/holder.ts';
import { containBy } from '../runtime/images/contain.ts';
import type { Config } from '../src/config.ts';
import { openLogWriter } from '../src/logs/writer.ts';
import type { Claim } from '../src/queue/claim.ts';
import type { Consumer } from '../src/queue/consumer.ts';
import { version } from '../src/version.ts';
import { openQueue } from '../src/queue.ts';
import { openRecords } from '../src/records.ts';
import { connectRedis } from '../src/redis.ts';
import { openRepositories } from '../src/repositories.ts';
import { openSecrets } from '../src/secrets.ts';
import { openSettings } from '../src/settings.ts';
import { openStorage } from '../src/storage/storage.ts';
import { openVault } from '../src/vault.ts';
import { unlessAborted } from './abort.ts';
import { machineBudget } from './budget.ts';
import { runClaim } from './claim.ts';
import { claimedSources } from './claim/source.ts';
import { machineCaches } from './caches/open.ts';
import { exposureWarning } from './exposure.ts';
import { type FitnessWatch, watchFitness } from './fitness.ts';
import { gitSources } from './git/sources.ts';
import { layerCache } from './layer-cache.ts';
import { thisPlatform } from './planning.ts';
import { openMachine } from './machine.ts';
import { createStopping, type Stopping } from './stopping.ts';
import { uploadCache } from './uploads.ts';

export interface WorkerOptions {
  readonly config: Config;
  /** Unique among running workers; default the host's name. */
  readonly id?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Builds side by side at most; default four for each processor. */
  readonly slots?: number;
  /** Shared out among builds by what they ask for; default four times what there is, as few builds use all they ask. */
  readonly cpus?: number;
  /** Default four fifths of what there is. */
  readonly memoryBytes?: number;
  /** No build is taken with less free disk; default 2 GiB. */
  readonly headroomBytes?: number;
  /** How long builds may go on after SIGTERM; then they go back to the queue. Default ten minutes. */
  readonly drainMs?: number;
}

const GiB = 1024 ** 3;
const sourcesCapBytes = 20 * GiB;
const mirrorsCapBytes = 20 * GiB;
const logCapBytes = 64 * 1024 ** 2;
const fitnessEveryMs = 5_000;
const trimEveryMs = 10 * 60_000;
/** `errored`, as in src/cli/exit.ts. */
const exitUnheard = 3;

/**
 * The worker process: takes builds from the queue until SIGTERM or SIGINT, then drains; a second signal cancels the
 * builds that still run. Returns the exit code.
 */
export async function runWorker(options: WorkerOptions): Promise<number> {
  const { config } = options;
  const logger = pino({ level: config.logLevel, name: 'worker' }, pino.destination(2));
  const machine = openMachine(config.dataDir, config.egressExceptions);
  // Any trust, unless the operator says which.
  const labels = { platform: thisPlatform, trust: '*', ...config.worker.labels, ...options.labels };
  const warning = await exposureWarning(thisHost(config.dataDir), labels);
  if (warning !== undefined) logger.warn(warning);
  if (config.redisUrl === undefined) throw new TypeError('a worker needs COFFERDAM_REDIS_URL');
  const redis = await connectRedis({
    url: config.redisUrl,
    prefix: config.redisPrefix,
    caFile: config.redisCaFile,
  });
  const storage = openStorage(config.store);
  const records = openRecords(redis, storage);
  const queue = openQueue(redis, records, {
    caps: { project: config.projectConcurrency, group: 1 },
    onTrouble: (error) => logger.warn({ err: error }, 'the queue is in trouble'),
  });
  const layers = layerCache({ dataDir: config.dataDir, capBytes: sourcesCapBytes });
  const uploads = uploadCache(layers, containBy(holderFile));
  const fitness = watchFitness({
    dataDir: config.dataDir,
    headroomBytes: options.headroomBytes ?? 2 * GiB,
  });
  const stopping = createStopping(options.drainMs ?? 10 * 60_000);
  const settings = openSettings(redis, storage);
  const vault = openVault(config.secretKeyFile);
  const repositories = openRepositories(settings, vault);
  const git = gitSources({ dataDir: config.dataDir, cache: layers, mirrorsCapBytes });
  const sources = claimedSources({ storage, uploads, git, repositories });
  const caches = machineCaches({
    dataDir: config.dataDir,
    maxBytes: config.cacheMaxBytes,
    storage,
    onTrouble: (error, what) => logger.warn({ err: error }, `${what} failed`),
  });
  const tools = {
    machine,
    storage,
    records,
    repositories,
    secrets: openSecrets(settings, vault),
    workflowsAt: sources.workflowsAt,
    publicUrl: config.publicUrl,
    sources,
    caches,
    logCapBytes,
    stopping,
    labels,
    budget: machineBudget({
      cpus: options.cpus ?? config.worker.cpus,
      memoryBytes: options.memoryBytes ?? config.worker.memoryBytes,
    }),
    openLog: ({ fence, lost }: Claim) => openLogWriter({ redis, storage, fence, signal: lost }),
  };
  const slots = options.slots ?? availableParallelism() * 4;
  const consumer = queue.consume(
    {
      id: options.id ?? hostname(),
      host: hostname(),
      version,
      labels,
      slots,
    },
    async (claim) => {
      logger.info({ build: claim.spec.id, attempt: claim.fence.attempt }, 'build begins');
      const result = await runClaim(claim, tools);
      fitness.ended(result.kind === 'infrastructure' ? 'infrastructure' : 'other');
      const isBack = result.kind === 'requeue' || result.kind === 'aside';
      const end = isBack ? result.reason : result.record.status;
      logger.info({ build: claim.spec.id, result: result.kind, end }, 'build ended');
      return result;
    },
  );
  const stopWatching = keepFit(consumer, fitness, slots, logger);
  const trim = () => {
    Promise.all([layers.trim(), git.tidy()]).catch((error: unknown) =>
      logger.warn({ err: error }, 'old sources stay'),
    );
  };
  trim();
  const trimming = setInterval(trim, trimEveryMs);

  stopping.ending.addEventListener('abort', () => {
    logger.info({ stage: stopping.stage }, 'builds that still run are stopped');
    endAnyway(logger);
  });
  await untilToldToStop(stopping);
  logger.info('draining: no more builds are taken');
  stopWatching();
  clearInterval(trimming);
  await consumer.pause();
  await consumer.drained();
  await unlessAborted(stopping.ending, caches.settled()).catch(() => {});
  await consumer.close();
  await queue.close();
  records.close();
  await redis.close();
  stopping.release();
  logger.info('drained');
  return 0;
}

/** After the drain there is time to stop builds and to say goodbye. */
const farewellMs = 15_000;

/**
 * Ends this process also when Redis does not answer: its sandboxes end with it, and its builds go to others when its
 * heartbeat is missed.
 */
function endAnyway(logger: Logger): void {
  setTimeout(() => {
    logger.error('ends without goodbye: Redis does not answer');
    process.exit(exitUnheard);
  }, farewellMs).unref();
}

/** Opens and closes the worker's slots as its fitness changes; returns what ends that. */
function keepFit(consumer: Consumer, fitness: FitnessWatch, slots: number, logger: Logger): () => void {
  let now: 'fit' | 'low-disk' | 'quarantined' = 'fit';
  const look = async () => {
    const found = fitness.check();
    if (found.kind === now) return;
    now = found.kind;
    if (found.kind === 'fit') logger.info('takes builds again');
    else logger.error({ why: found.kind }, `takes no builds: ${found.message}`);
    await consumer.setSlots(found.kind === 'fit' ? slots : 0);
  };
  const timer = setInterval(() => {
    look().catch((error: unknown) => logger.warn({ err: error }, 'cannot change the number of slots'));
  }, fitnessEveryMs);
  return () => clearInterval(timer);
}

/** Resolves at the first SIGTERM or SIGINT; passes on each one. */
function untilToldToStop(stopping: Stopping): Promise<void> {
  return new Promise((resolve) => {
    const onSignal = () => {
      stopping.told();
      resolve();
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}
