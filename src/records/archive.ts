import type { BuildRecord } from '../build.ts';
import { sealLog } from '../logs/seal.ts';
import type { RedisHandle } from '../redis.ts';
import type { BuildSpec } from '../spec.ts';
import type { Storage } from '../storage/storage.ts';
import { parseOwn } from './json.ts';
import { branchIndex } from './indexes.ts';
import { restoreScript, shortenScript } from './scripts.ts';
import { attemptPrefix, parseStored, recordFields } from './stored.ts';

/** Characters of JSON. A longer record is kept in Redis without steps and artifacts, a longer spec not at all. */
const longRecord = 4096;
const longSpec = 1024;

/** Where the storage has the record of a finished build. */
export const recordKey = (id: string) => `builds/${id}/record.json`;

/** Earlier versions kept what was asked for beside the record. */
const oldSpecKey = (id: string) => `builds/${id}/spec.json`;

/** `record.json`: the record, and in one more field what was asked for. One object, for each is synced to disk. */
type ArchivedJson = BuildRecord & { readonly spec?: BuildSpec };

/**
 * Puts an ended build's record and spec into storage, with the logs of attempts whose workers were lost, and then
 * leaves in Redis only what lists show.
 */
export async function archiveBuild(redis: RedisHandle, storage: Storage, id: string): Promise<void> {
  const { client, prefix } = redis;
  const stored = parseStored(await client.hmget(`${prefix}b:${id}`, ...recordFields));
  if (stored?.kind === 'live' && stored.record.status !== 'queued' && stored.record.status !== 'running') {
    const { spec } = stored;
    // Redis keeps it: the forge may be told, or refuse to be, after this.
    const { unreported: _, ...ended } = stored.record;
    const record = await withSealedLogs(redis, storage, ended);
    const json: ArchivedJson = { ...record, spec };
    await storage.put(recordKey(id), Buffer.from(JSON.stringify(json)));
    await shortenScript.run(client, [prefix], [id, ...shortened(record, spec)]);
  } else await client.zrem(`${prefix}unarchived`, id);
}

/** A worker that ends its attempt archives the log itself and says where; for the others it is done here. */
async function withSealedLogs(
  redis: RedisHandle,
  storage: Storage,
  record: BuildRecord,
): Promise<BuildRecord> {
  const { id, attempt } = record;
  for (let earlier = 1; earlier < attempt; earlier++) await sealLog(redis, storage, { id, attempt: earlier });
  if (attempt === 0 || record.storage) return record;
  const { bytes, cuts } = await sealLog(redis, storage, { id, attempt });
  const cutBytes = cuts.reduce((sum, cut) => sum + cut.bytes, 0);
  return {
    ...record,
    storage: { prefix: attemptPrefix(id, attempt) },
    log: { bytes: bytes + cutBytes, truncated: cutBytes > 0, cutBytes },
  };
}

/**
 * Puts every archived build that Redis does not know back into the lists, for a Redis that lost its data. Returns how
 * many. Builds that were not finished are not in the archive.
 */
export async function restoreFromArchive({ client, prefix }: RedisHandle, storage: Storage): Promise<number> {
  let restored = 0;
  for await (const key of storage.list('builds/')) {
    const id = /^builds\/([^/]+)\/record\.json$/.exec(key)?.[1];
    if (id === undefined || (await client.exists(`${prefix}b:${id}`)) === 1) continue;
    const { record, spec } = await readArchived(storage, id);
    const project = record.project ?? record.source.repo;
    const branch = record.source.ref === undefined ? '' : branchIndex(project, record.source.ref);
    const [shown, kept, at] = shortened(record, spec);
    const place = `builds/${id}/`;
    const { status, attempt, number = 0 } = record;
    const args = [id, shown, kept, at, status, attempt, project, branch, place, number];
    restored += Number(await restoreScript.run(client, [prefix], args));
  }
  return restored;
}

/** Reads an archived build; its spec is undefined when that was lost. Throws what Storage.get throws. */
export async function readArchived(
  storage: Storage,
  id: string,
): Promise<{ record: BuildRecord; spec: BuildSpec | undefined }> {
  const { spec, ...record } = await readJson<ArchivedJson>(storage, recordKey(id));
  const old = !spec && (await storage.head(oldSpecKey(id)));
  return { record, spec: old ? await readJson<BuildSpec>(storage, oldSpecKey(id)) : spec };
}

async function readJson<T>(storage: Storage, key: string): Promise<T> {
  const { body } = await storage.get(key);
  return parseOwn<T>(Buffer.concat(await body.toArray()).toString());
}

function shortened(record: BuildRecord, spec: BuildSpec | undefined): [string, string, 'archived' | 'cut'] {
  const whole = JSON.stringify(record);
  const request = JSON.stringify(spec ?? '');
  const kept = spec && request.length <= longSpec ? request : '';
  if (whole.length <= longRecord) return [whole, kept, 'archived'];
  return [JSON.stringify({ ...record, workflows: [], artifacts: [] }), kept, 'cut'];
}
