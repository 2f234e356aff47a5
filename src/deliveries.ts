import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { dueScript, keepScript, settleScript } from './deliveries/scripts.ts';
import { parseOwn } from './records/json.ts';
import type { RedisHandle } from './redis.ts';
import type { ForgeKind } from './repositories.ts';

/** What came of a delivery: ids of builds, and why other parts of it made none. */
export type Outcome =
  | { readonly kind: 'read'; readonly builds: readonly string[]; readonly ignored: readonly string[] }
  | { readonly kind: 'malformed'; readonly message: string };

/** A genuine delivery, without its body. */
export interface Delivery {
  /** ULID. */
  readonly id: string;
  /** Name of the repository it was for. */
  readonly repository: string;
  readonly forge: ForgeKind;
  /** What the forge calls it. */
  readonly event?: string;
  /** ISO 8601. */
  readonly receivedAt: string;
  /** Of the body. */
  readonly bytes: number;
  /** Those that are needed to read it. */
  readonly headers: IncomingHttpHeaders;
  /** Undefined: it was kept, and is not read yet. */
  readonly outcome?: Outcome;
}

/** As it is stored; the scripts read `key` and `list`. */
type Kept = Omit<Delivery, 'outcome'> & { readonly key: string; readonly list: string };

/**
 * What forges delivered, kept as it came: nothing that was answered is lost, the same is not taken twice, and what was
 * misunderstood can be read again. For seven days, the newest 200 of a repository.
 */
export interface Deliveries {
  /**
   * Keeps a delivery, unless one with the same key came within 24 hours: then that one's id, and its outcome when there
   * is one. Durable as Redis is when it resolves.
   * @param key the forge's id of it; those of each repository are apart
   */
  keep(
    delivery: Omit<Delivery, 'outcome' | 'bytes'>,
    body: Buffer,
    key: string,
  ): Promise<{ readonly id: string; readonly isNew: boolean; readonly outcome?: Outcome }>;
  /** Says what came of it. The first one stays, and is returned. */
  settle(id: string, outcome: Outcome): Promise<Outcome>;
  get(id: string): Promise<Delivery | undefined>;
  body(id: string): Promise<Buffer | undefined>;
  /** Newest first. */
  list(filter: { readonly repository?: string; readonly limit: number }): Promise<Delivery[]>;
  /** Ids of those that were kept and not settled for so long; each is told to one process at a time. */
  due(afterMs: number): Promise<string[]>;
}

const compress = promisify(zstdCompress);
const decompress = promisify(zstdDecompress);

const keepSeconds = 7 * 86_400;
const dedupeSeconds = 86_400;
const mostOfRepository = 200;
const mostInAll = 10_000;

/** Keys are described in deliveries/scripts.ts. */
export function openDeliveries({ client, prefix }: RedisHandle): Deliveries {
  const keyOf = (id: string) => `${prefix}hook:d:${id}`;

  const read = async (ids: readonly string[]): Promise<(Delivery | undefined)[]> => {
    const pipeline = client.pipeline();
    for (const id of ids) pipeline.hmget(keyOf(id), 'about', 'outcome');
    const replies = (await pipeline.exec()) ?? [];
    return replies.map(([error, reply]) => {
      if (error) throw error;
      const [about, outcome]: unknown[] = Array.isArray(reply) ? reply : [];
      if (typeof about !== 'string') return undefined;
      const { key: _key, list: _list, ...delivery } = parseOwn<Kept>(about);
      return { ...delivery, ...(typeof outcome === 'string' && { outcome: parseOwn<Outcome>(outcome) }) };
    });
  };

  return {
    keep: async (delivery, body, key) => {
      const { id, repository } = delivery;
      const hash = hashOf(repository, key);
      const list = nameKey(repository);
      const kept: Kept = { ...delivery, bytes: body.length, key: hash, list };
      const args = [id, hash, list, JSON.stringify(kept), await compress(body)];
      const reply = String(
        await keepScript.run(client, [prefix], [...args, keepSeconds, dedupeSeconds, mostInAll]),
      );
      const [, first = id, outcome = ''] = /^(\S+) ?(.*)$/s.exec(reply) ?? [];
      return {
        id: first,
        isNew: first === id,
        ...(outcome !== '' && { outcome: parseOwn<Outcome>(outcome) }),
      };
    },
    settle: async (id, outcome) => {
      const args = [id, JSON.stringify(outcome), mostOfRepository];
      return parseOwn<Outcome>(String(await settleScript.run(client, [prefix], args)));
    },
    get: async (id) => (await read([id]))[0],
    body: async (id) => {
      const compressed = await client.hgetBuffer(keyOf(id), 'body');
      return compressed === null ? undefined : await decompress(compressed);
    },
    list: async ({ repository, limit }) => {
      const list = repository === undefined ? 'hook:all' : `hook:of:${nameKey(repository)}`;
      const ids = await client.zrevrange(prefix + list, 0, limit - 1);
      return (await read(ids)).filter((each) => each !== undefined);
    },
    due: async (afterMs) => {
      const reply = await dueScript.run(client, [prefix], [afterMs]);
      return Array.isArray(reply) ? reply.map(String) : [];
    },
  };
}

const nameKey = (repository: string) => repository.toLowerCase();

function hashOf(repository: string, key: string): string {
  return createHash('sha256')
    .update(`${nameKey(repository)}\n${key}`)
    .digest('base64url');
}
