import { createScript } from '../redis/script.ts';

/**
 * Keys, below the hash-tagged prefix in KEYS[1]:
 *
 *   hook:d:<id>      a delivery: about (JSON; its `key` and `list` are as below), body (zstd), outcome (JSON)
 *   hook:key:<hash>  which delivery had the forge's id: `<id>`, or `<id> <outcome>`
 *   hook:of:<name>   deliveries of a repository, by id
 *   hook:all         deliveries of all of them, by id
 *   hook:pending     deliveries without an outcome, by the time (ms) at which a process took them last
 */
const library = `
local P = KEYS[1] .. 'hook:'

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
`;

const compile = (body: string) => createScript(library + body);

/**
 * ARGV: id, hash of the forge's id, name of the repository's list, about, body, seconds to keep it, seconds to know its id, most ids in the
 * list of all. Replies what `hook:key:` says: of this delivery, or of the one that came first.
 */
export const keepScript = compile(`
local id, hash, name, about, body, keep, dedupe, most = unpack(ARGV)
local first = redis.call('GET', P .. 'key:' .. hash)
if first then return first end
redis.call('SET', P .. 'key:' .. hash, id, 'EX', dedupe)
redis.call('HSET', P .. 'd:' .. id, 'about', about, 'body', body)
redis.call('EXPIRE', P .. 'd:' .. id, keep)
redis.call('ZADD', P .. 'of:' .. name, 0, id)
redis.call('EXPIRE', P .. 'of:' .. name, keep)
redis.call('ZADD', P .. 'all', 0, id)
redis.call('ZREMRANGEBYRANK', P .. 'all', 0, -1 - most)
redis.call('ZADD', P .. 'pending', now(), id)
return id
`);

/**
 * ARGV: id, outcome, most deliveries of a repository. Replies the outcome that stays. The oldest ones beyond the limit go,
 * but none that is pending.
 */
export const settleScript = compile(`
local id, outcome, most = unpack(ARGV)
redis.call('ZREM', P .. 'pending', id)
local about, was = unpack(redis.call('HMGET', P .. 'd:' .. id, 'about', 'outcome'))
if was or not about then return was or outcome end
about = cjson.decode(about)
local key, list = P .. 'key:' .. about.key, P .. 'of:' .. about.list
redis.call('HSET', P .. 'd:' .. id, 'outcome', outcome)
if redis.call('GET', key) == id then redis.call('SET', key, id .. ' ' .. outcome, 'KEEPTTL') end
local excess = redis.call('ZCARD', list) - most
if excess > 0 then
  for _, old in ipairs(redis.call('ZRANGE', list, 0, excess - 1)) do
    if not redis.call('ZSCORE', P .. 'pending', old) then
      redis.call('ZREM', list, old)
      redis.call('ZREM', P .. 'all', old)
      redis.call('DEL', P .. 'd:' .. old)
    end
  end
end
return outcome
`);

/** ARGV: milliseconds. Replies ids of pending deliveries that nobody took for so long; they count as taken now. */
export const dueScript = compile(`
local time = now()
local ids = {}
for _, id in ipairs(redis.call('ZRANGE', P .. 'pending', '-inf', time - ARGV[1], 'BYSCORE', 'LIMIT', 0, 100)) do
  if redis.call('EXISTS', P .. 'd:' .. id) == 1 then
    redis.call('ZADD', P .. 'pending', time, id)
    table.insert(ids, id)
  else
    redis.call('ZREM', P .. 'pending', id)
  end
end
return ids
`);
