/**
 * A worker takes a build that BullMQ gave it. ARGV: id, n, session, time (ISO).
 * `claimed`: attempt, spec, attempts, number, commit of an earlier attempt ('': none); also when the first reply was lost.
 * `gone`: canceled, withdrawn or handed over again since. `refused`: this worker has no slot, is to be kept away from, or
 * is not registered; back to the line.
 */
export const claimLua = `
local id, n, session, at = unpack(ARGV, 4)
local where, current, holder = get(id, 'at', 'n', 'worker')
if where == 'running' and current == n and holder == session then
  local attempt, spec, attempts, number, sha = get(id, 'attempt', 'spec', 'attempts', 'number', 'sha')
  return { 'claimed', tonumber(attempt), spec, attempts, tonumber(number), sha or '' }
end
if where ~= 'ready' or current ~= n then return { 'gone' } end
local place = place_of(id)
local class = get(id, 'class')
local slots = tonumber(redis.call('HGET', P .. 'slots:' .. class, session) or '0')
local _, avoid = suited(muster(), place.labels, place.excluded)
if redis.call('SCARD', P .. 'run:' .. session) >= slots or (avoid and id_of(session) == place.excluded) then
  vacate(id, place)
  stand(id, place)
  return { 'refused', admit() }
end
redis.call('ZREM', P .. 'ready:' .. class, id)
redis.call('SADD', P .. 'run:' .. session, id)
local attempt = redis.call('HINCRBY', build(id), 'attempt', 1)
local attempts = cjson.decode(get(id, 'attempts') or '[]')
attempts[#attempts + 1] = { attempt = attempt, worker = id_of(session), startedAt = at }
attempts = cjson.encode(attempts)
redis.call('HSET', build(id), 'at', 'running', 'worker', session, 'attempts', attempts)
become(id, place, 'running')
tell(id, 'status running')
local spec, number, sha = get(id, 'spec', 'number', 'sha')
return { 'claimed', attempt, spec, attempts, tonumber(number), sha or '' }
`;
