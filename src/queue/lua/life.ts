/** How a build changes state, and what it gives back when it does. */
export const life = `
local function become(id, place, status)
  local old = redis.call('HGET', build(id), 'status')
  redis.call('HSET', build(id), 'status', status)
  redis.call('ZREM', P .. 'i:s:' .. old, id)
  redis.call('ZADD', P .. 'i:s:' .. status, 0, id)
  redis.call('ZREM', P .. 'i:ps:' .. old .. ':' .. place.project, id)
  redis.call('ZADD', P .. 'i:ps:' .. status .. ':' .. place.project, 0, id)
  report(id)
end

-- Frees whatever the build holds where it is: its place in the line, or its slot and its share of the caps.
local function vacate(id, place)
  local at, class, session = get(id, 'at', 'class', 'worker')
  if at == 'delayed' then
    redis.call('ZREM', P .. 'delayed', id)
  elseif at == 'held' then
    redis.call('ZREM', P .. 'held', id)
  elseif at == 'waiting' then
    step_out(id, place)
    if place.gkey then refresh(place.lane, place.project, place.gkey) end
    tidy(place.lane, place.project)
  elseif at == 'ready' or at == 'running' then
    if at == 'ready' then redis.call('ZREM', P .. 'ready:' .. class, id) end
    if at == 'running' then redis.call('SREM', P .. 'run:' .. session, id) end
    redis.call('SREM', P .. 'pa:' .. place.project, id)
    if place.gkey then
      redis.call('SREM', P .. 'ga:' .. place.gkey, id)
      refresh_everywhere(place.project, place.gkey)
    end
  end
end

-- An upload is kept while a build may still run from it.
local function use_upload(id, digest)
  redis.call('HSET', build(id), 'upload', digest)
  redis.call('HINCRBY', P .. 'uses', digest, 1)
  redis.call('ZADD', P .. 'uploads', now(), digest)
end

local function leave_upload(id)
  local digest = get(id, 'upload')
  if not digest then return end
  if redis.call('HINCRBY', P .. 'uses', digest, -1) <= 0 then redis.call('HDEL', P .. 'uses', digest) end
  redis.call('ZADD', P .. 'uploads', now(), digest)
end

-- why: what the record must say beyond what a worker wrote; nil when the worker's record says it all.
local function finish(id, place, status, why)
  vacate(id, place)
  become(id, place, status)
  redis.call('HSET', build(id), 'at', 'ended')
  leave_turns(id)
  redis.call('HDEL', build(id), 'cancel')
  local line = get(id, 'line')
  if line then redis.call('ZREM', P .. 'line:' .. line, id) end
  leave_upload(id)
  if why then redis.call('HSET', build(id), 'end', cjson.encode(why)) end
  redis.call('ZADD', P .. 'unarchived', now(), id)
  tell(id, 'end ' .. status)
end

-- why: what the record says of it; '': somebody asked for it. Replies what became of the build, as cancelLua says.
local function cancel(id, at, why)
  local status, session, asked = get(id, 'status', 'worker', 'cancel')
  if not status then return 'unknown' end
  if status ~= 'queued' and status ~= 'running' then return 'finished' end
  if why ~= '' and not asked then redis.call('HSET', build(id), 'why', why) end
  if status == 'running' then
    redis.call('HSET', build(id), 'cancel', at)
    redis.call('PUBLISH', P .. 'w:' .. session, id)
    return 'canceling'
  end
  finish(id, place_of(id), 'canceled', { reason = 'canceled', finishedAt = at })
  return 'canceled'
end

local function stop_attempt(id, at, status, reason, message)
  local attempts = cjson.decode(redis.call('HGET', build(id), 'attempts'))
  local last = attempts[#attempts]
  last.finishedAt = at
  if status ~= '' then last.status = status end
  if reason ~= '' then last.reason = reason end
  if message ~= '' then last.message = message end
  redis.call('HSET', build(id), 'attempts', cjson.encode(attempts))
end

-- Into the line, or to the delayed ones when due (ms) is later.
local function line_up(id, place, due)
  if due > now() then
    redis.call('ZADD', P .. 'delayed', due, id)
    redis.call('HSET', build(id), 'at', 'delayed')
  else
    stand(id, place)
  end
end

-- A branch may move between two attempts; the build stays one of the same commit.
local function keep_commit(id)
  local record = get(id, 'record')
  local source = record and cjson.decode(record).source
  if source and source.sha then redis.call('HSET', build(id), 'sha', source.sha) end
end

-- Back to the line, not before due (ms). Of what the lost attempt reported its commit alone is kept.
local function queue_again(id, place, excluded, due)
  vacate(id, place)
  keep_commit(id)
  redis.call('HDEL', build(id), 'record')
  become(id, place, 'queued')
  if excluded ~= '' then place = exclude(id, place, excluded) end
  line_up(id, place, due)
  tell(id, 'status queued')
end

-- An attempt that ended without a verdict. Counted ones end the build when there were too many.
local function take_back(id, at, lost, limits)
  local place = place_of(id)
  local session = get(id, 'worker')
  leave_turns(id)
  stop_attempt(id, at, lost.status, lost.reason, lost.message)
  if get(id, 'cancel') then
    return finish(id, place, 'canceled', { reason = 'canceled', finishedAt = at })
  end
  local failures, deaths = 0, 0
  if lost.failed then failures = redis.call('HINCRBY', build(id), 'failures', 1) end
  if lost.died then deaths = redis.call('HINCRBY', build(id), 'deaths', 1) end
  if failures >= limits.attempts or deaths >= limits.deaths then
    return finish(id, place, 'errored', { reason = lost.reason, message = lost.message, finishedAt = at })
  end
  local due = 0
  if lost.failed and not lost.died then due = now() + (limits.backoff[failures] or 0) end
  queue_again(id, place, lost.failed and id_of(session) or '', due)
end

-- The build can begin nothing before its turn has come. It keeps its places in the lines, and that it was claimed is no
-- attempt.
local function step_aside(id, at)
  local place = place_of(id)
  if get(id, 'cancel') then
    stop_attempt(id, at, '', '', '')
    return finish(id, place, 'canceled', { reason = 'canceled', finishedAt = at })
  end
  local attempts = cjson.decode(get(id, 'attempts'))
  attempts[#attempts] = nil
  if #attempts == 0 then redis.call('HDEL', build(id), 'attempts')
  else redis.call('HSET', build(id), 'attempts', cjson.encode(attempts)) end
  local waits = held_aside(id)
  queue_again(id, place, '', waits and now() + aside_ms or 0)
  if not waits then come_forward(id) end
end

-- Whether the fence is that of the attempt that runs now.
local function holds(id, attempt, session)
  local status, current, worker = get(id, 'status', 'attempt', 'worker')
  return status == 'running' and current == attempt and worker == session
end
`;
