import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { start } from '../../runtime/command.ts';
import { tryLock } from '../../runtime/images/lock.ts';
import { openClient } from '../client.ts';
import { type Config, loadAccess, loadConfig } from '../config.ts';
import { startEmbeddedRedis } from '../redis/embedded.ts';
import { connectRedis } from '../redis.ts';
import { openTokens } from '../tokens.ts';
import { keepRunning } from '../up/child.ts';
import { frugal } from '../up/frugal.ts';
import { type Journal, openJournal } from '../up/journal.ts';
import { placesIn, redisUrlOf } from '../up/place.ts';
import { keepRedis } from '../up/redis.ts';
import { tellWhatRuns } from '../up/running.ts';
import { provideToken } from '../up/token.ts';
import { UsageError } from '../usage.ts';

/** `cofferdam up`: the whole service on this machine. */
export function command(): Command {
  return new Command('up')
    .summary('run the service on this machine: Redis, API and worker')
    .description(
      'Runs Redis (unless COFFERDAM_REDIS_URL names one), the API (COFFERDAM_LISTEN, default 127.0.0.1:8080) and a ' +
        'worker, and starts again what crashes. SIGTERM or Ctrl-C: running builds finish, then all of it ends; the ' +
        'second time they are canceled; the third time everything is killed.',
    )
    .action(up);
}

async function up(): Promise<void> {
  const config = loadConfig();
  const places = placesIn(config.dataDir);
  await mkdir(dirname(places.lock), { recursive: true });
  const lock = await tryLock(places.lock, 'exclusive');
  if (!lock) {
    throw new UsageError(
      `another cofferdam up runs on ${config.dataDir}; stop it, or choose another directory by COFFERDAM_DATA`,
    );
  }
  try {
    const journal = openJournal(places.journal, (text, isError) => {
      if (isError || process.stderr.isTTY) process.stderr.write(text);
    });
    await withRedis(config, journal, () => serveAndWork(config, journal));
  } finally {
    await lock.release();
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Redis is there before everything else, and ends after it. One that a killed predecessor left is taken over. */
async function withRedis(config: Config, journal: Journal, work: () => Promise<void>): Promise<void> {
  const directory = placesIn(config.dataDir).redis;
  const embedded = config.redisUrl === undefined ? await startEmbeddedRedis(directory, start) : undefined;
  const redis = await connectRedis({
    url: redisUrlOf(config),
    prefix: config.redisPrefix,
    caFile: config.redisCaFile,
  });
  const ending = new AbortController();
  if (embedded) keepRedis(redis, { directory, start, journal, signal: ending.signal });
  try {
    const file = placesIn(config.dataDir).token;
    const token = await provideToken(file, openTokens(redis));
    if (token === 'foreign')
      say(`the token in ${file} is not one of this service; remove the file, or set COFFERDAM_TOKEN`);
    await work();
  } finally {
    ending.abort();
    await redis.close();
    await embedded?.stop();
  }
}

/** Until a signal asks for the end, and the worker and then the API have ended. */
async function serveAndWork(config: Config, journal: Journal): Promise<void> {
  const launch = (name: string, environment: readonly string[], nodeOptions: readonly string[]) => () =>
    start(
      {
        file: 'env',
        args: [...environment, process.execPath, ...nodeOptions, process.argv[1] ?? '', name, '--supervised'],
      },
      // In a session of their own: Ctrl-C is for us to pass on, in order.
      { stdio: ['pipe', 'pipe', 'pipe'], detached: true },
    );
  let announced = false;
  const announce = (url: unknown) => {
    if (announced || typeof url !== 'string') return;
    announced = true;
    const { token, journal: log } = placesIn(config.dataDir);
    say(
      `cofferdam is up at ${url}\n  token  ${token} (admin; commands on this machine find it)\n  log    ${log}`,
    );
  };
  const api = keepRunning({
    name: 'serve',
    launch: launch('serve', frugal.environment, frugal.nodeOptions),
    journal,
    onEntry: ({ msg, url }) => {
      if (msg === 'listening') announce(url);
    },
  });
  const drained = new AbortController();
  const worker = keepRunning({ name: 'worker', launch: launch('worker', [], []), journal });
  const forget = onSignals((count, signal) => {
    journal.info(`got ${signal}`, { count });
    if (count === 1) say('stopping: running builds finish first; once more to cancel them');
    if (count === 2) say('canceling running builds; once more to kill everything');
    worker.stop(count < 3 ? 'SIGTERM' : 'SIGKILL');
    if (count >= 3) api.stop('SIGKILL');
    // With a Redis of others, their builds on other machines would be in the list.
    if (count === 1 && config.redisUrl === undefined) {
      const { url = '', token } = loadAccess(config);
      void tellWhatRuns(
        openClient({ url, token }, () => {}),
        say,
        drained.signal,
      );
    }
  });
  try {
    await Promise.race([worker.ended, api.ended]);
    await worker.ended;
  } catch (error) {
    worker.stop('SIGTERM');
    await worker.ended.catch(() => {});
    throw error;
  } finally {
    drained.abort();
    api.stop('SIGTERM');
    await api.ended.catch(() => {});
    forget();
  }
}

/** Calls back on each signal that asks for the end, with how many there were; returns what ends that. */
function onSignals(callback: (count: number, signal: NodeJS.Signals) => void): () => void {
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  let count = 0;
  const received = (signal: NodeJS.Signals) => callback(++count, signal);
  for (const signal of signals) process.on(signal, received);
  return () => {
    for (const signal of signals) process.off(signal, received);
  };
}
