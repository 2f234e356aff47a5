import { Cluster, type CommonRedisOptions, Redis } from 'ioredis';
import { parseRedisAddress, type RedisAddress, withoutPassword } from './redis/address.ts';
import { RedisError } from './redis/error.ts';
import { checkFitness } from './redis/fitness.ts';

/** The connections of one process to its Redis. */
export interface RedisHandle {
  /**
   * For commands. One that cannot be answered within 3 s rejects, although the server may still carry it out:
   * whatever is repeated must be idempotent.
   */
  readonly client: Redis;
  /**
   * Another connection, for what blocks or subscribes; it waits for as long as the server is away. Shown by CLIENT LIST
   * as `cofferdam:<role>`. Ends with close().
   */
  duplicate(role: string): Redis;
  /** `{word}:`, the beginning of every key and channel; the braces keep them in one slot of a Cluster. */
  readonly prefix: string;
  /** Ends all connections; commands sent before on `client` are answered first. */
  close(): Promise<void>;
}

/** What all kinds of connections share; `replyMapping` would change the types of replies. */
type Options = Omit<CommonRedisOptions, 'replyMapping'> & { readonly lazyConnect: true };

const commandTimeoutMs = 3_000;
const connectTimeoutMs = 5_000;

/**
 * Connects to a Redis or Valkey. Throws RedisError: of kind `address` (see parseRedisAddress for the URLs),
 * `unreachable`, or `unfit` (evicts, is a replica, is too old).
 * @param options.prefix the word inside the braces
 */
export async function connectRedis(options: {
  readonly url: string;
  readonly prefix: string;
}): Promise<RedisHandle> {
  const address = parseRedisAddress(options.url);
  const shownAs = withoutPassword(options.url);
  const client = open(address, 'client', { commandTimeout: commandTimeoutMs });
  const duplicates = new Set<Redis>();
  try {
    await firstConnect(client, shownAs);
    for (const server of client instanceof Cluster ? client.nodes('master') : [client]) {
      await checkFitness(server, shownAs);
    }
  } catch (error) {
    client.disconnect();
    throw error;
  }
  return {
    client: asRedis(client),
    prefix: `{${options.prefix}}:`,
    duplicate: (role) => {
      const duplicate = asRedis(open(address, role, {}));
      duplicates.add(duplicate);
      duplicate.once('end', () => duplicates.delete(duplicate));
      // What is sent to it waits; a refused first attempt is one of many.
      duplicate.connect().catch(() => {});
      return duplicate;
    },
    close: async () => {
      for (const duplicate of duplicates) duplicate.disconnect();
      await client.quit().catch(() => client.disconnect());
    },
  };
}

/** A Cluster's client has the same commands; what else differs is not used outside this file. */
function asRedis(client: Redis | Cluster): Redis {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return client as Redis;
}

async function firstConnect(client: Redis | Cluster, shownAs: string): Promise<void> {
  let last: Error | undefined;
  const remember = (error: Error) => (last = error);
  client.on('error', remember);
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => late.reject(new Error(`no answer within ${connectTimeoutMs / 1000} s`)),
    connectTimeoutMs,
  );
  try {
    await Promise.race([client.connect(), late.promise]);
  } catch (error) {
    const cause = last ?? error;
    const told = cause instanceof Error ? cause.message : String(cause);
    const remedy = 'Start it, or correct COFFERDAM_REDIS_URL.';
    throw new RedisError('unreachable', `cannot reach Redis at ${shownAs}: ${told}. ${remedy}`, { cause });
  } finally {
    clearTimeout(timer);
    client.off('error', remember);
  }
}

/** The one place where connection options are made. */
function open(
  address: RedisAddress,
  role: string,
  more: Pick<CommonRedisOptions, 'commandTimeout'>,
): Redis | Cluster {
  const options: Options = {
    ...more,
    connectionName: `cofferdam:${role}`,
    lazyConnect: true,
    connectTimeout: connectTimeoutMs,
    maxRetriesPerRequest: null,
    retryStrategy: reconnectDelayMs,
    ...(address.username !== undefined && { username: address.username }),
    ...(address.password !== undefined && { password: address.password }),
  };
  const client = build(address, options);
  // A lost connection is not an error of anyone: commands wait or reject, and say so themselves.
  return client.on('error', () => {});
}

function build(address: RedisAddress, options: Options): Redis | Cluster {
  if (address.kind === 'cluster') {
    const { lazyConnect, ...redisOptions } = options;
    return new Cluster([...address.nodes], {
      lazyConnect,
      clusterRetryStrategy: reconnectDelayMs,
      redisOptions: { ...redisOptions, ...(address.tls && { tls: {} }) },
    });
  }
  const { db } = address;
  if (address.kind === 'socket') return new Redis({ ...options, db, path: address.path });
  if (address.kind === 'sentinel') {
    return new Redis({ ...options, db, sentinels: [...address.sentinels], name: address.master });
  }
  return new Redis({ ...options, db, ...address.at, ...(address.tls && { tls: {} }) });
}

function reconnectDelayMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt, 6), 1_000) + Math.random() * 50;
}
