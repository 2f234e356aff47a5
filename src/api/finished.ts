import type { BuildRecord } from '../build.ts';
import type { Records } from '../records.ts';
import { changesChannel } from '../records/changes.ts';
import type { RedisHandle } from '../redis.ts';

/**
 * Tells of every build that ends, whoever ran it, while this process lives and reaches Redis. For statistics: one that
 * ends while Redis is away is missed. Returns what ends it.
 */
export function onFinished(
  { redis, records }: { readonly redis: RedisHandle; readonly records: Records },
  told: (record: BuildRecord) => void,
): () => void {
  const connection = redis.duplicate('finished');
  const channel = changesChannel(redis.prefix, '');
  connection.on('pmessage', (_pattern: string, from: string, message: string) => {
    if (!message.startsWith('end ')) return;
    records.get(from.slice(channel.length)).then(
      (stored) => stored && told(stored.record),
      // A number less in a statistic.
      () => {},
    );
  });
  // Rejects only when the connection is closed for good.
  connection.psubscribe(`${channel}*`).catch(() => {});
  return () => connection.disconnect();
}
