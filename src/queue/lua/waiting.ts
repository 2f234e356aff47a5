/** Where waiting builds stand: lanes, projects in fair order, groups that let one build through at a time. */
export const waiting = `
local function lane_of(labels, excluded)
  if labels == '' and excluded == '' then return '-' end
  return redis.sha1hex(labels .. '\\n' .. excluded):sub(1, 12)
end

local function locate(place)
  place.lane = lane_of(place.labels, place.excluded)
  if place.group ~= '' then place.gkey = redis.sha1hex(place.project .. '\\n' .. place.group):sub(1, 16) end
  return place
end

local function parse_place(text)
  local p = cjson.decode(text)
  return locate({ project = p[1], score = p[2], labels = p[3], group = p[4], excluded = p[5] })
end

local function place_of(id) return parse_place(redis.call('HGET', build(id), 'place')) end

local function exclude(id, place, worker)
  place.excluded = worker
  redis.call('HSET', build(id), 'place',
    cjson.encode({ place.project, place.score, place.labels, place.group, worker }))
  return locate(place)
end

-- Of a build that stands in no line.
local function relabel(id, labels)
  local place = place_of(id)
  redis.call('HSET', build(id), 'place',
    cjson.encode({ place.project, place.score, labels, place.group, place.excluded }))
end

-- Lets the first build of a group stand in its project's line while the group is below its cap.
local function refresh(lane, project, gkey)
  local line, held, field = P .. 'wait:' .. lane .. ':' .. project, P .. 'gw:' .. lane .. ':' .. gkey, lane .. ':' .. gkey
  local old = redis.call('HGET', P .. 'gfirst', field)
  local first = {}
  if redis.call('SCARD', P .. 'ga:' .. gkey) < group_cap then
    first = redis.call('ZRANGE', held, 0, 0, 'WITHSCORES')
  end
  if (first[1] or false) == old then return end
  if old then
    redis.call('ZREM', line, old)
    redis.call('HDEL', P .. 'gfirst', field)
  end
  if first[1] then
    redis.call('ZADD', line, first[2], first[1])
    redis.call('HSET', P .. 'gfirst', field, first[1])
  end
end

local function refresh_everywhere(project, gkey)
  for _, lane in ipairs(redis.call('HKEYS', P .. 'lanes')) do
    if redis.call('EXISTS', P .. 'gw:' .. lane .. ':' .. gkey) == 1 then refresh(lane, project, gkey) end
  end
end

-- Virtual time: a project that comes new, or comes back, starts where the others are, never in their past.
local function start_time(project)
  local time = tonumber(redis.call('GET', P .. 'vtime') or '0')
  local served = redis.call('ZSCORE', P .. 'served', project)
  return math.max(time, tonumber(served or '0'))
end

local function stand(id, place)
  local lane, project = place.lane, place.project
  redis.call('HSETNX', P .. 'lanes', lane, cjson.encode({ labels = place.labels, excluded = place.excluded }))
  if not redis.call('ZSCORE', P .. 'vt:' .. lane, project) then
    redis.call('ZADD', P .. 'vt:' .. lane, start_time(project), project)
  end
  if place.gkey then
    redis.call('ZADD', P .. 'gw:' .. lane .. ':' .. place.gkey, place.score, id)
    redis.call('SADD', P .. 'gs:' .. lane .. ':' .. project, place.gkey)
    refresh(lane, project, place.gkey)
  else
    redis.call('ZADD', P .. 'wait:' .. lane .. ':' .. project, place.score, id)
  end
  redis.call('HSET', build(id), 'at', 'waiting')
end

-- Takes a build out of its line. Its group is not refreshed: the caller knows what becomes of the build.
local function step_out(id, place)
  local lane, project = place.lane, place.project
  local line = P .. 'wait:' .. lane .. ':' .. project
  redis.call('ZREM', line, id)
  if place.gkey then
    local held, field = P .. 'gw:' .. lane .. ':' .. place.gkey, lane .. ':' .. place.gkey
    redis.call('ZREM', held, id)
    if redis.call('HGET', P .. 'gfirst', field) == id then redis.call('HDEL', P .. 'gfirst', field) end
    if redis.call('EXISTS', held) == 0 then redis.call('SREM', P .. 'gs:' .. lane .. ':' .. project, place.gkey) end
  end
end

-- Forgets a project, and then a lane, that has no builds left.
local function tidy(lane, project)
  if redis.call('EXISTS', P .. 'wait:' .. lane .. ':' .. project) == 1 then return end
  if redis.call('EXISTS', P .. 'gs:' .. lane .. ':' .. project) == 1 then return end
  redis.call('ZREM', P .. 'vt:' .. lane, project)
  if redis.call('EXISTS', P .. 'vt:' .. lane) == 0 then redis.call('HDEL', P .. 'lanes', lane) end
end
`;
