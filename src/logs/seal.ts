import type { LogEntry } from '../logs.ts';
import type { Fence } from '../records.ts';
import { attemptPrefix } from '../records/stored.ts';
import type { RedisHandle } from '../redis.ts';
import type { Storage } from '../storage/storage.ts';
import { chunkBytes, countChunks, removeChunks, wholeIndex, writeWhole } from './archive.ts';
import { closeGaps, sliceEntries } from './entries.ts';
import type { LogIndex } from './log-index.ts';
import { expireStream, readEntries } from './stream.ts';

/**
 * Archives the log of an attempt whose worker cannot do it any more. Only after the attempt was fenced off: what is
 * written then does not depend on who writes it. May be repeated; a log that is archived already stays.
 */
export async function sealLog(
  redis: RedisHandle,
  storage: Storage,
  attempt: Pick<Fence, 'id' | 'attempt'>,
): Promise<LogIndex> {
  const prefix = attemptPrefix(attempt.id, attempt.attempt);
  const index = (await wholeIndex(storage, prefix)) ?? (await assemble(redis, storage, attempt, prefix));
  await removeChunks(storage, prefix);
  await expireStream(redis, attempt);
  return index;
}

async function assemble(
  { client, prefix: keyPrefix }: RedisHandle,
  storage: Storage,
  attempt: Pick<Fence, 'id' | 'attempt'>,
  prefix: string,
): Promise<LogIndex> {
  const chunks = await countChunks(storage, prefix);
  const start = chunks * chunkBytes;
  const tail: LogEntry[] = [];
  for (let at = start; ; ) {
    const entries = sliceEntries(await readEntries(client, keyPrefix, attempt, at), at, Infinity);
    const last = entries.at(-1);
    if (!last) break;
    tail.push(...entries);
    at = last.offset + last.data.length;
  }
  return writeWhole(storage, prefix, { chunks, tail: closeGaps(tail, start) });
}
