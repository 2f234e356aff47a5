/** Workers come, beat and go. A worker process is a session, `<worker id>#<random>`: the id may come back, it not. */

/** ARGV: session, description, class, labels, slots. Again with other slots: changes them. */
export const registerLua = `
local session, info, class, labels, slots = unpack(ARGV, 4)
redis.call('HINCRBY', P .. 'beats', session, 1)
redis.call('HSET', P .. 'workers', session, info)
redis.call('HSET', P .. 'classes', class, labels)
redis.call('HSET', P .. 'slots:' .. class, session, slots)
return { admit() }
`;

/**
 * A heartbeat, which keeps every build of the session. ARGV: session, time (ISO), then id and attempt of each build
 * that the worker knows it has. Replies `ok` or `buried`; what is not (any more) its own, and what to cancel, both flat:
 * id, attempt.
 * Builds that Redis has for it and the worker does not know go back to the line: a reply of a claim was lost for good.
 */
export const beatLua = `
local session, at = ARGV[4], ARGV[5]
if redis.call('HEXISTS', P .. 'beats', session) == 0 then return { 'buried', {}, {}, {} } end
redis.call('HINCRBY', P .. 'beats', session, 1)
local known, stale, cancel = {}, {}, {}
for i = 6, #ARGV, 2 do
  local id = ARGV[i]
  known[id] = true
  -- Attempt 0: the claim's reply has not arrived yet.
  if ARGV[i + 1] ~= '0' then
    local list
    if not holds(id, ARGV[i + 1], session) then list = stale elseif get(id, 'cancel') then list = cancel end
    if list then
      list[#list + 1] = id
      list[#list + 1] = tonumber(ARGV[i + 1])
    end
  end
end
local none = { attempts = math.huge, deaths = math.huge, backoff = {} }
for _, id in ipairs(redis.call('SMEMBERS', P .. 'run:' .. session)) do
  if not known[id] then
    take_back(id, at, { failed = false, died = false, status = '', reason = '', message = 'the worker let go of it' }, none)
  end
end
return { 'ok', stale, cancel, admit() }
`;

/**
 * Removes a session. ARGV: session, time (ISO), beat, most deaths. With a beat: the worker is taken for dead because it
 * has not beaten since; `alive` if it has, and nothing is changed. beat '': it says goodbye itself. Of a dead worker's
 * builds only deaths are counted to their end, whatever failed them before.
 */
export const buryLua = `
local session, at, beat, deaths = unpack(ARGV, 4)
local current = redis.call('HGET', P .. 'beats', session)
if not current then return { 'gone', {} } end
local died = beat ~= ''
if died and current ~= beat then return { 'alive', {} } end
redis.call('HDEL', P .. 'beats', session)
redis.call('HDEL', P .. 'workers', session)
for _, class in ipairs(redis.call('HKEYS', P .. 'classes')) do redis.call('HDEL', P .. 'slots:' .. class, session) end
local limits = { attempts = math.huge, deaths = tonumber(deaths), backoff = {} }
local lost = { failed = died, died = died, status = '', reason = '', message = 'the worker was stopped' }
if died then
  lost.status, lost.reason = 'errored', 'worker-lost'
  lost.message = 'worker ' .. id_of(session) .. ' died or lost its connection while it ran the build'
end
for _, id in ipairs(redis.call('SMEMBERS', P .. 'run:' .. session)) do take_back(id, at, lost, limits) end
return { 'buried', admit() }
`;
