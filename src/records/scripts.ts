import { createScript } from '../redis/script.ts';

/** Scripts on records. KEYS[1] is the hash-tagged prefix; the other keys are derived from it. */

/**
 * What a running attempt reports. ARGV: id, attempt, session, record. 1: written; 0: the fence is not (any more) that
 * of the attempt that runs.
 */
export const progressScript = createScript(`
local key = KEYS[1] .. 'b:' .. ARGV[1]
local status, attempt, session = unpack(redis.call('HMGET', key, 'status', 'attempt', 'worker'))
if status ~= 'running' or attempt ~= ARGV[2] or session ~= ARGV[3] then return 0 end
redis.call('HSET', key, 'record', ARGV[4])
redis.call('PUBLISH', KEYS[1] .. 'c:' .. ARGV[1], 'record')
return 1
`);

/**
 * One page of a list. ARGV: index, newest and oldest bound, builds wanted, ids to look at, state ('': any), fields.
 * Replies: 1 when there may be more, the last id looked at, then id and fields of each build.
 */
export const pageScript = createScript(`
local P = KEYS[1]
local wanted, most, status = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local ids = redis.call('ZRANGE', P .. ARGV[1], ARGV[2], ARGV[3], 'BYLEX', 'REV', 'LIMIT', 0, most + 1)
local reply, found = { 0, '' }, 0
for i, id in ipairs(ids) do
  if found == wanted or i > most then
    reply[1] = 1
    break
  end
  reply[2] = id
  local fields = redis.call('HMGET', P .. 'b:' .. id, unpack(ARGV, 7))
  if status == '' or fields[1] == status then
    found = found + 1
    reply[#reply + 1] = fields
  end
end
return reply
`);

/**
 * Leaves of an ended build what lists show, once storage has the rest, and its commit as long as a forge is to be told of
 * it. ARGV: id, record, spec ('': leave it out), `archived` or `cut`. 0: the build is not ended, or was shortened before.
 */
export const shortenScript = createScript(`
local P, id = KEYS[1], ARGV[1]
local key = P .. 'b:' .. id
redis.call('ZREM', P .. 'unarchived', id)
if redis.call('HGET', key, 'at') ~= 'ended' then return 0 end
local status, attempt, unreported, commit =
  unpack(redis.call('HMGET', key, 'status', 'attempt', 'unreported', 'commit'))
redis.call('DEL', key)
redis.call('HSET', key, 'status', status, 'attempt', attempt or '0', 'record', ARGV[2], 'at', ARGV[4])
if ARGV[3] ~= '' then redis.call('HSET', key, 'spec', ARGV[3]) end
if unreported then redis.call('HSET', key, 'unreported', unreported) end
if commit and redis.call('HGET', P .. 'report:' .. commit, 'build') == id then
  redis.call('HSET', key, 'commit', commit)
end
return 1
`);

/**
 * Puts an archived build back into the indexes. ARGV: id, record, spec, `archived` or `cut`, status, attempt, project,
 * branch index ('': none), place in storage, number in the project (0: unknown). 0: Redis has the build, or it is being removed.
 */
export const restoreScript = createScript(`
local P = KEYS[1]
local id, record, spec, at, status, attempt, project, branch, place, number = unpack(ARGV)
local key = P .. 'b:' .. id
if redis.call('EXISTS', key) == 1 or redis.call('SISMEMBER', P .. 'removing', place) == 1 then return 0 end
redis.call('HSET', key, 'status', status, 'attempt', attempt, 'record', record, 'at', at)
if spec ~= '' then redis.call('HSET', key, 'spec', spec) end
redis.call('ZADD', P .. 'i:all', 0, id)
redis.call('ZADD', P .. 'i:s:' .. status, 0, id)
redis.call('ZADD', P .. 'i:p:' .. project, 0, id)
redis.call('ZADD', P .. 'i:ps:' .. status .. ':' .. project, 0, id)
if branch ~= '' then redis.call('ZADD', P .. branch, 0, id) end
local last = redis.call('HGET', P .. 'numbers', project)
if tonumber(number) > tonumber(last or '0') then redis.call('HSET', P .. 'numbers', project, number) end
return 1
`);
