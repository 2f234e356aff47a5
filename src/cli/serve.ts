import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command, Option } from 'commander';
import pino, { type Logger } from 'pino';
import { urlAt } from '../api/public-url.ts';
import { createServer } from '../api/server.ts';
import { type Config, loadConfig } from '../config.ts';
import { type Crons, openCrons } from '../crons.ts';
import { openDeliveries } from '../deliveries.ts';
import { openHooks } from '../hooks.ts';
import { openLogReader } from '../logs/reader.ts';
import { capProject } from '../queue/caps.ts';
import { openQueue } from '../queue.ts';
import { openRecords, type Records } from '../records.ts';
import { connectRedis } from '../redis.ts';
import { openRetention, type Retention } from '../retention.ts';
import { openRepositories } from '../repositories.ts';
import { openSecrets } from '../secrets.ts';
import { openSettings, type Settings } from '../settings.ts';
import { openStatuses } from '../statuses.ts';
import { openStorage } from '../storage/storage.ts';
import { openTokens } from '../tokens.ts';
import { forgeOf } from '../triggers/forges.ts';
import { placesIn, redisUrlOf } from '../up/place.ts';
import { endWithParent } from '../up/supervised.ts';
import { provideToken } from '../up/token.ts';
import { openVault } from '../vault.ts';
import { provideKey, reseal } from '../vault/key.ts';
import { version } from '../version.ts';

/** `cofferdam serve`: the HTTP API. */
export function command(): Command {
  return new Command('serve')
    .summary('run the API of the service alone')
    .description(
      'Answers the HTTP API at COFFERDAM_LISTEN, for the queue of COFFERDAM_REDIS_URL (default: that of cofferdam up ' +
        'on this machine) and the archive at COFFERDAM_STORE. Its log, as JSON, is on stdout.',
    )
    .addOption(new Option('--supervised', 'end when stdin is closed').hideHelp())
    .action(serve);
}

async function serve({ supervised }: { readonly supervised?: true }): Promise<void> {
  const config = loadConfig();
  const logger = pino({ name: 'serve', level: config.logLevel });
  const stopped = signalled();
  if (supervised) endWithParent();

  await using open = new AsyncDisposableStack();
  const redis = open.adopt(
    await connectRedis({ url: redisUrlOf(config), prefix: config.redisPrefix, caFile: config.redisCaFile }),
    (each) => each.close(),
  );
  const storage = openStorage(config.store);
  const records = open.adopt(openRecords(redis, storage), (each) => each.close());
  const onTrouble = (error: unknown) => logger.warn({ err: error }, 'the queue has trouble');
  const caps = { project: config.projectConcurrency, group: 1 };
  const queue = open.adopt(openQueue(redis, records, { caps, onTrouble }), (each) => each.close());
  open.defer(everySecond(() => queue.tick(), onTrouble));
  const retention = open.adopt(openRetention(redis, storage, config.keep), (each) => each.close());
  open.defer(sweepEveryMinute(retention, logger));
  const logs = open.adopt(openLogReader({ redis, storage, records }), (each) => each.close());
  const settings = openSettings(redis, storage);
  await prepareSettings(settings, config.secretKeyFile, logger);
  const vault = openVault(config.secretKeyFile);
  const repositories = openRepositories(settings, vault);
  const secrets = openSecrets(settings, vault);
  // Redis may have lost them, or a process died between the two.
  for (const repository of await repositories.list())
    await capProject(redis, repository.name, repository.concurrency);
  const deliveries = openDeliveries(redis);
  const onHookTrouble = (error: unknown) => logger.warn({ err: error }, 'a delivery is tried again');
  const hooks = openHooks({ repositories, deliveries, queue, onTrouble: onHookTrouble });
  open.defer(everySecond(() => hooks.tick(), onHookTrouble));
  const onCronTrouble = (error: unknown) => logger.warn({ err: error }, 'a cron job is tried again');
  const crons = open.adopt(openCrons({ redis, repositories, queue, onTrouble: onCronTrouble }), (each) =>
    each.close(),
  );
  const statuses = open.adopt(openStatuses({ queue, records, repositories, forgeOf, logger }), (each) =>
    each.close(),
  );
  const tokens = openTokens(redis);
  if ((await tokens.list()).length === 0) {
    const { token } = placesIn(config.dataDir);
    await provideToken(token, tokens);
    milestone(logger, { file: token }, 'made the first admin token');
  }
  const { dataDir, uploadMaxBytes, rateLimit, publicUrl } = config;
  const app = open.adopt(
    await createServer(
      {
        redis,
        storage,
        records,
        queue,
        logs,
        tokens,
        repositories,
        secrets,
        deliveries,
        hooks,
        crons,
        statuses,
      },
      { dataDir, version, logger, uploadMaxBytes, rateLimit, publicUrl },
    ),
    (each) => each.close(),
  );
  await app.listen(config.listen);
  const address = app.server.address();
  const port = typeof address === 'object' && address ? address.port : config.listen.port;
  const url = urlAt({ address: config.listen.host, port });
  open.adopt(await announce(config, url, logger), (withdraw) => withdraw());
  statuses.start(publicUrl ?? url);
  crons.start();
  open.defer(reconcileEveryMinute(crons, logger));
  void restore(records, logger);
  milestone(logger, { signal: await stopped }, 'stopping');
}

/** What a service did or will do is always in its log, whatever the level is. */
function milestone(logger: Logger, fields: object, message: string): void {
  logger.child({}, { level: 'info' }).info(fields, message);
}

/** Resolves at the first signal that asks for the end; a second one ends the process at once. */
function signalled(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.once(signal, resolve);
  });
}

function everySecond(tick: () => Promise<void>, onTrouble: (error: unknown) => void): () => void {
  const timer = setInterval(() => void tick().catch(onTrouble), 1_000);
  return () => clearInterval(timer);
}

function sweepEveryMinute(retention: Retention, logger: Logger): () => void {
  const sweep = async () => {
    try {
      const swept = await retention.sweep();
      if (swept && swept.builds + swept.uploads > 0) milestone(logger, swept, 'removed what was too old');
    } catch (error) {
      logger.error({ err: error }, 'cannot remove what is too old; tried again in some minutes');
    }
  };
  const timer = setInterval(() => void sweep(), 60_000);
  return () => clearInterval(timer);
}

function reconcileEveryMinute(crons: Crons, logger: Logger): () => void {
  const reconcile = async () => {
    try {
      await crons.reconcile();
    } catch (error) {
      logger.warn({ err: error }, 'cannot see to cron jobs; tried again in a minute');
    }
  };
  void reconcile();
  const timer = setInterval(() => void reconcile(), 60_000);
  return () => clearInterval(timer);
}

/** What administrators set is whole, and its secrets can be opened. Throws VaultError. */
async function prepareSettings(settings: Settings, keyFile: string, logger: Logger): Promise<void> {
  const restored = await settings.restore();
  if (restored > 0)
    milestone(logger, { restored }, 'put repositories and secrets of the archive back into Redis');
  if ((await provideKey(keyFile, settings)) === 'made') {
    milestone(logger, { file: keyFile }, 'made the key of the secrets; back it up');
  }
  const resealed = await reseal(settings, openVault(keyFile));
  if (resealed > 0) milestone(logger, { resealed }, 'sealed secrets again with the first key of the file');
}

/** A Redis without any build is new, or has lost its data: the archive has the finished ones. */
async function restore(records: Records, logger: Logger): Promise<void> {
  try {
    if ((await records.list({}, { limit: 1 })).builds.length > 0) return;
    const builds = await records.rebuild();
    if (builds > 0) milestone(logger, { builds }, 'put the builds of the archive back into the lists');
  } catch (error) {
    logger.error({ err: error }, 'cannot put the builds of the archive back into the lists');
  }
}

/** Tells commands of this machine where the API is, for as long as it is there. Returns what ends that. */
async function announce({ dataDir }: Config, url: string, logger: Logger): Promise<() => Promise<void>> {
  const { url: file } = placesIn(dataDir);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.${process.pid}`, `${url}\n`);
  await rename(`${file}.${process.pid}`, file);
  milestone(logger, { url }, 'listening');
  return async () => {
    const now = await readFile(file, 'utf8').catch(() => '');
    if (now.trim() === url) await rm(file, { force: true });
  };
}
