import type { BuildRecord } from '../build.ts';
import { branchIndex } from '../records/indexes.ts';
import { createScript } from '../redis/script.ts';
import type { RedisHandle } from '../redis.ts';
import { uploadKey } from '../uploads.ts';

/**
 * ARGV: id, project, branch index ('': none), place in storage. 0: it is not in the archive (yet). What its forge was not
 * told goes too, unless another build speaks for the commit by now; who tells it at this moment finds its lease gone.
 */
const buildScript = createScript(`
local P, id = KEYS[1], ARGV[1]
local at, status, commit = unpack(redis.call('HMGET', P .. 'b:' .. id, 'at', 'status', 'commit'))
if at ~= 'archived' and at ~= 'cut' then return 0 end
redis.call('SADD', P .. 'removing', ARGV[4])
if commit and redis.call('HGET', P .. 'report:' .. commit, 'build') == id then
  redis.call('DEL', P .. 'report:' .. commit)
  redis.call('ZREM', P .. 'reports', commit)
end
redis.call('DEL', P .. 'b:' .. id)
redis.call('ZREM', P .. 'i:all', id)
redis.call('ZREM', P .. 'i:s:' .. status, id)
redis.call('ZREM', P .. 'i:p:' .. ARGV[2], id)
redis.call('ZREM', P .. 'i:ps:' .. status .. ':' .. ARGV[2], id)
if ARGV[3] ~= '' then redis.call('ZREM', P .. ARGV[3], id) end
return 1
`);

/** ARGV: digest, last use (ms) that is too old, key in storage. 0: it is needed, or was used since. */
const uploadScript = createScript(`
local P, digest = KEYS[1], ARGV[1]
if redis.call('HEXISTS', P .. 'uses', digest) == 1 then return 0 end
local used = redis.call('ZSCORE', P .. 'uploads', digest)
if not used or tonumber(used) > tonumber(ARGV[2]) then return 0 end
redis.call('SADD', P .. 'removing', ARGV[3])
redis.call('ZREM', P .. 'uploads', digest)
return 1
`);

/** Takes a build out of Redis. Returns what is then to be removed from storage; undefined: it stays. */
export async function retireBuild(
  { client, prefix }: RedisHandle,
  { id, project, source }: BuildRecord,
): Promise<string | undefined> {
  const name = project ?? source.repo;
  const branch = source.ref === undefined ? '' : branchIndex(name, source.ref);
  const place = `builds/${id}/`;
  return (await buildScript.run(client, [prefix], [id, name, branch, place])) === 1 ? place : undefined;
}

/** Takes an upload out of Redis that was last used before a time (ms). Returns as retireBuild does. */
export async function retireUpload(
  { client, prefix }: RedisHandle,
  digest: string,
  usedBefore: number,
): Promise<string | undefined> {
  const place = uploadKey(digest);
  return (await uploadScript.run(client, [prefix], [digest, usedBefore, place])) === 1 ? place : undefined;
}
