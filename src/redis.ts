import { Cluster, type CommonRedisOptions, Redis } from 'ioredis';
import { parseRedisAddress, type RedisAddress, withoutPassword } from './redis/address.ts';
import { readCertificates } from './redis/certificates.ts';
import { RedisError } from './redis/error.ts';
import { checkFitness } from './redis/fitness.ts';
import { refusalOf } from './redis/refusal.ts';

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

/** Where a server is, and how it is recognized. */
interface Server {
  readonly address: RedisAddress;
  /** Undefined: no TLS. Without `ca` the certificates that Node trusts. */
  readonly tls: { readonly ca?: string } | undefined;
}

/** What all kinds of connections share; `replyMapping` would change the types of replies. */
type Options = Omit<CommonRedisOptions, 'replyMapping'> & { readonly lazyConnect: true };

const commandTimeoutMs = 3_000;
const connectTimeoutMs = 5_000;

/**
 * Connects to a Redis or Valkey. Throws RedisError: of kind `address` (see parseRedisAddress for the URLs),
 * `unreachable`, `refused` (protected mode, password), or `unfit` (evicts, is a replica, is too old).
 * @param options.prefix the word inside the braces
 * @param options.caFile certificates, PEM: with rediss:// no other authority is trusted
 */
export async function connectRedis(options: {
  readonly url: string;
  readonly prefix: string;
  readonly caFile?: string | undefined;
}): Promise<RedisHandle> {
  const server = serverAt(options.url, options.caFile);
  const shownAs = withoutPassword(options.url);
  const client = open(server, 'client', { commandTimeout: commandTimeoutMs });
  const duplicates = new Set<Redis>();
  try {
    await firstConnect(client, server, shownAs);
    for (const node of client instanceof Cluster ? client.nodes('master') : [client]) {
      await checkFitness(node, shownAs);
    }
  } catch (error) {
    client.disconnect();
    throw error;
  }
  return {
    client: asRedis(client),
    prefix: `{${options.prefix}}:`,
    duplicate: (role) => {
      const duplicate = asRedis(open(server, role, {}));
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

function serverAt(url: string, caFile: string | undefined): Server {
  const address = parseRedisAddress(url);
  const encrypted = 'tls' in address && address.tls;
  if (caFile === undefined) return { address, tls: encrypted ? {} : undefined };
  if (encrypted) return { address, tls: { ca: readCertificates(caFile) } };
  const told = `COFFERDAM_REDIS_CA is for rediss://, and ${withoutPassword(url)} is not encrypted`;
  throw new RedisError('address', `${told}; change the URL, or leave the CA out`);
}

/** A Cluster's client has the same commands; what else differs is not used outside this file. */
function asRedis(client: Redis | Cluster): Redis {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return client as Redis;
}

async function firstConnect(client: Redis | Cluster, server: Server, shownAs: string): Promise<void> {
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
    const told = messageOf(cause);
    const refusal = await refusalOf(server.address, server.tls !== undefined, told);
    if (refusal !== undefined)
      throw new RedisError('refused', `the Redis at ${shownAs} ${refusal}`, { cause });
    const remedy = isDistrusted(cause)
      ? 'If that is your own CA, name its certificate by COFFERDAM_REDIS_CA.'
      : 'Start it, or correct COFFERDAM_REDIS_URL.';
    throw new RedisError('unreachable', `cannot reach Redis at ${shownAs}: ${told}. ${remedy}`, { cause });
  } finally {
    clearTimeout(timer);
    client.off('error', remember);
  }
}

/** Of a Cluster, which tells that all its nodes failed, what the last of them said too. */
function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const last =
    'lastNodeError' in error && error.lastNodeError instanceof Error ? error.lastNodeError : undefined;
  return last ? `${error.message} ${last.message}` : error.message;
}

/** Whether it is the certificate that was refused, and for who has signed it (codes of OpenSSL's X509_V_ERR_*). */
function isDistrusted(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /SELF_SIGNED|UNABLE_TO_/.test(String(error.code));
}

/** The one place where connection options are made. */
function open(
  server: Server,
  role: string,
  more: Pick<CommonRedisOptions, 'commandTimeout'>,
): Redis | Cluster {
  const { address } = server;
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
  const client = build(server, options);
  // A lost connection is not an error of anyone: commands wait or reject, and say so themselves.
  return client.on('error', () => {});
}

function build({ address, tls }: Server, options: Options): Redis | Cluster {
  if (address.kind === 'cluster') {
    const { lazyConnect, ...redisOptions } = options;
    return new Cluster([...address.nodes], {
      lazyConnect,
      clusterRetryStrategy: reconnectDelayMs,
      redisOptions: { ...redisOptions, ...(tls && { tls }) },
    });
  }
  const { db } = address;
  if (address.kind === 'socket') return new Redis({ ...options, db, path: address.path });
  if (address.kind === 'sentinel') {
    return new Redis({ ...options, db, sentinels: [...address.sentinels], name: address.master });
  }
  return new Redis({ ...options, db, ...address.at, ...(tls && { tls }) });
}

function reconnectDelayMs(attempt: number): number {
  return Math.min(25 * 2 ** Math.min(attempt, 6), 1_000) + Math.random() * 50;
}
