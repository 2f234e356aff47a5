import { buffer } from 'node:stream/consumers';
import { StorageMissing } from '../storage/missing.ts';
import type { Storage } from '../storage/storage.ts';
import type { LogEntry } from '../logs.ts';
import { entriesOf, indexEntries, joinIndexes, type LogIndex } from './log-index.ts';

/**
 * A log in storage, below `builds/<id>/attempts/<n>/`. While the attempt runs: `log.d/<start>` for each full MiB, its
 * first byte as twelve digits, and `log.d/<start>.json`. Afterwards: `log`, raw bytes, and `log.json`.
 */

/** Size of what goes from Redis to storage at a time; also says which chunk has a byte. */
export const chunkBytes = 1024 * 1024;

/** Most that one read takes, so that a slow reader holds little. */
const readBytes = 256 * 1024;

const chunkKey = (prefix: string, start: number) => `${prefix}log.d/${String(start).padStart(12, '0')}`;

/** Stores one full chunk; the entries begin at a multiple of chunkBytes. */
export async function putChunk(
  storage: Storage,
  prefix: string,
  entries: readonly LogEntry[],
): Promise<void> {
  const start = entries[0]?.offset ?? 0;
  const key = chunkKey(prefix, start);
  // The bytes last: a chunk that is there has its index.
  await storage.put(`${key}.json`, Buffer.from(JSON.stringify(indexEntries(entries, start))));
  await storage.put(key, Buffer.concat(entries.map(({ data }) => data)));
}

/** How many chunks there are, from the first on without a gap. */
export async function countChunks(storage: Storage, prefix: string): Promise<number> {
  let count = 0;
  while (await storage.head(chunkKey(prefix, count * chunkBytes))) count++;
  return count;
}

/**
 * Makes one object of a complete log: `chunks` of storage and the entries after them. `lastCut`: bytes missing at its
 * end. To be repeated when it fails; whoever does it writes the same.
 */
export async function writeWhole(
  storage: Storage,
  prefix: string,
  { chunks, tail, lastCut = 0 }: { chunks: number; tail: readonly LogEntry[]; lastCut?: number },
): Promise<LogIndex> {
  const starts = Array.from({ length: chunks }, (_, i) => i * chunkBytes);
  const parts: LogIndex[] = [];
  for (const start of starts) parts.push(await readIndex(storage, `${chunkKey(prefix, start)}.json`));
  const index = joinIndexes([...parts, indexEntries(tail, chunks * chunkBytes, lastCut)]);
  const body = async function* (): AsyncGenerator<Buffer> {
    for (const start of starts) yield* (await storage.get(chunkKey(prefix, start))).body;
    for (const { data } of tail) yield data;
  };
  await Promise.all([
    storage.put(`${prefix}log`, chunks > 0 ? body() : Buffer.concat(tail.map(({ data }) => data))),
    storage.put(`${prefix}log.json`, Buffer.from(JSON.stringify(index))),
  ]);
  return index;
}

/** Removes what writeWhole has made superfluous. */
export async function removeChunks(storage: Storage, prefix: string): Promise<void> {
  await storage.removeAll(`${prefix}log.d/`);
}

/** The index of a finished log; undefined: it is not written yet. */
export async function wholeIndex(storage: Storage, prefix: string): Promise<LogIndex | undefined> {
  return orUndefined(readIndex(storage, `${prefix}log.json`));
}

/** What one reader reads from storage of one log; keeps the index that it read last. */
export interface ArchivedLog {
  /** Some entries from a byte of the finished log on, none at its end; undefined: it is not finished. */
  whole(offset: number): Promise<LogEntry[] | undefined>;
  /** Some entries from a byte of a chunk on; undefined: it is not in storage. */
  chunk(offset: number): Promise<LogEntry[] | undefined>;
}

export function openArchivedLog(storage: Storage, prefix: string, attempt: number): ArchivedLog {
  let kept: { readonly key: string; readonly index: LogIndex } | undefined;

  const indexAt = async (key: string): Promise<LogIndex> => {
    if (kept?.key !== key) kept = { key, index: await readIndex(storage, key) };
    return kept.index;
  };
  const entries = async (index: LogIndex, key: string, start: number, offset: number) => {
    const from = offset - start;
    const { body } = await storage.get(key, { start: from, end: from + readBytes - 1 });
    return entriesOf(index, attempt, offset, await buffer(body));
  };

  return {
    whole: (offset) =>
      orUndefined(
        indexAt(`${prefix}log.json`).then((index) =>
          offset < index.bytes ? entries(index, `${prefix}log`, 0, offset) : [],
        ),
      ),
    chunk: (offset) => {
      const start = offset - (offset % chunkBytes);
      const key = chunkKey(prefix, start);
      return orUndefined(indexAt(`${key}.json`).then((index) => entries(index, key, start, offset)));
    },
  };
}

async function readIndex(storage: Storage, key: string): Promise<LogIndex> {
  const { body } = await storage.get(key);
  const index: LogIndex = JSON.parse((await buffer(body)).toString());
  return index;
}

async function orUndefined<Result>(reading: Promise<Result>): Promise<Result | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (error instanceof StorageMissing) return undefined;
    throw error;
  }
}
