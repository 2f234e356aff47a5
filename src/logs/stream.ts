import type { Redis } from 'ioredis';
import type { LogEntry } from '../logs.ts';
import { changesChannel } from '../records/changes.ts';
import type { Fence } from '../records.ts';
import { createScript } from '../redis/script.ts';
import type { RedisHandle } from '../redis.ts';

/**
 * The newest part of a log in Redis: a stream for each attempt. The id of an entry is `<offset of its end>-0`; its fields
 * are `s` step, `d` data, and `c` bytes cut before it.
 */
const streamKey = (prefix: string, id: string, attempt: number) => `${prefix}log:${id}:${attempt}`;

/** A guard against leaks only: no build is silent for so long. */
const idleMs = 7 * 24 * 60 * 60 * 1000;

/** How long readers that are on their way may still find a finished log here. */
const finishedMs = 10 * 60 * 1000;

/** Entries of one reply. */
const readCount = 8;

/**
 * KEYS: build, stream. ARGV: attempt, worker, channel, offset of the first entry, bytes in storage, idle time, then
 * step, cut, data of each entry. Replies how many bytes of the log there are now, or `stale`. When that is not where the
 * entries begin, nothing is added: they came twice, or the server has lost what was before them. Bytes that are in
 * storage need not be here.
 */
const appendScript = createScript(`
local status, attempt, worker = unpack(redis.call('HMGET', KEYS[1], 'status', 'attempt', 'worker'))
if status ~= 'running' or attempt ~= ARGV[1] or worker ~= ARGV[2] then return 'stale' end
local newest = redis.call('XREVRANGE', KEYS[2], '+', '-', 'COUNT', 1)[1]
local stored = newest and tonumber(string.match(newest[1], '^%d+')) or 0
local at, archived = tonumber(ARGV[4]), tonumber(ARGV[5])
if stored > at or (stored < at and at > archived) then return stored end
for i = 7, #ARGV, 3 do
  at = at + #ARGV[i + 2]
  local id = string.format('%.0f-0', at)
  if ARGV[i + 1] == '' then redis.call('XADD', KEYS[2], id, 's', ARGV[i], 'd', ARGV[i + 2])
  else redis.call('XADD', KEYS[2], id, 's', ARGV[i], 'd', ARGV[i + 2], 'c', ARGV[i + 1]) end
end
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f-0', archived))
redis.call('PEXPIRE', KEYS[2], ARGV[6])
redis.call('PUBLISH', ARGV[3], 'log')
return at
`);

/**
 * Adds entries that follow each other, and lets go of what is in storage. Returns how many bytes of the log are there
 * now: the entries are to be sent again from there. To be repeated when it fails.
 */
export async function appendEntries(
  { client, prefix }: RedisHandle,
  { id, attempt, worker }: Fence,
  entries: readonly LogEntry[],
  archivedBytes: number,
): Promise<number | 'stale'> {
  const keys = [`${prefix}b:${id}`, streamKey(prefix, id, attempt)];
  const fixed = [attempt, worker, changesChannel(prefix, id), entries[0]?.offset ?? 0, archivedBytes, idleMs];
  const data = entries.flatMap((entry) => [entry.step, entry.cutBytes ?? '', entry.data]);
  const reply = await appendScript.run(client, keys, [...fixed, ...data]);
  return reply === 'stale' ? 'stale' : Number(reply);
}

/** Some entries that end after a byte: the first may begin before it, or later when the byte is not in Redis any more. */
export async function readEntries(
  client: Redis,
  prefix: string,
  { id, attempt }: Pick<Fence, 'id' | 'attempt'>,
  offset: number,
): Promise<LogEntry[]> {
  const key = streamKey(prefix, id, attempt);
  const reply = await client.xrangeBuffer(key, `${offset + 1}-0`, '+', 'COUNT', readCount);
  return reply.map(([entryId, fields]) => {
    const [, step = Buffer.alloc(0), , data = Buffer.alloc(0), , cut] = fields;
    return {
      attempt,
      offset: Number.parseInt(entryId.toString(), 10) - data.length,
      step: step.toString(),
      data,
      ...(cut && { cutBytes: Number(cut.toString()) }),
    };
  });
}

/** How many bytes an attempt's log has by now; 0 also when Redis has nothing of it any more. */
export async function bytesSoFar(
  { client, prefix }: RedisHandle,
  { id, attempt }: Pick<Fence, 'id' | 'attempt'>,
): Promise<number> {
  const [newest] = await client.xrevrange(streamKey(prefix, id, attempt), '+', '-', 'COUNT', 1);
  return Number.parseInt(newest?.[0] ?? '0', 10);
}

/** Lets a finished log go after a while. */
export async function expireStream(
  { client, prefix }: RedisHandle,
  { id, attempt }: Pick<Fence, 'id' | 'attempt'>,
): Promise<void> {
  await client.pexpire(streamKey(prefix, id, attempt), finishedMs);
}
