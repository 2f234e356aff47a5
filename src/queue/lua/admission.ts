/**
 * Who runs next: start-time fair queueing (Goyal, Vin, Cheng 1996) over the projects of each lane. A project's tag
 * is its virtual start time; the smallest goes first and moves on by one for each build admitted.
 */
export const admission = `
local function wake_delayed()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'delayed', '-inf', now(), 'LIMIT', 0, 500)) do
    if held_aside(id) then
      redis.call('ZADD', P .. 'delayed', now() + aside_ms, id)
    else
      redis.call('ZREM', P .. 'delayed', id)
      stand(id, place_of(id))
      come_forward(id)
    end
  end
end

-- Workers went away, or have fewer slots: what nobody can claim now goes back to the line, last come first.
local function withdraw(classes)
  for _, class in ipairs(classes) do
    local excess = class.ready - class.free
    if excess > 0 then
      for _, id in ipairs(redis.call('ZRANGE', P .. 'ready:' .. class.key, 0, excess - 1, 'REV')) do
        local place = place_of(id)
        vacate(id, place)
        stand(id, place)
        class.ready = class.ready - 1
      end
    end
  end
end

-- Builds of a project that may be ready or running; 0: any number.
local function cap_of(project)
  return tonumber(redis.call('HGET', P .. 'caps', project) or project_cap)
end

-- The project of a lane whose turn it is, with its first build. Projects that no cap lets go are passed over: each of
-- them, and each held group, has a build that is ready or running, so there are no more of them than slots.
local function head(lane, full)
  local offset = 0
  while true do
    local page = redis.call('ZRANGE', P .. 'vt:' .. lane, offset, offset + 15, 'WITHSCORES')
    if #page == 0 then return nil end
    for i = 1, #page, 2 do
      local project = page[i]
      if full[project] == nil then
        local cap = cap_of(project)
        full[project] = cap > 0 and redis.call('SCARD', P .. 'pa:' .. project) >= cap
      end
      if not full[project] then
        local id = redis.call('ZRANGE', P .. 'wait:' .. lane .. ':' .. project, 0, 0)[1]
        if id then return { project = project, tag = tonumber(page[i + 1]), id = id } end
      end
    end
    offset = offset + 16
  end
end

local function hand_over(turn, lanes, class)
  local id, project = turn.id, turn.project
  local place = place_of(id)
  step_out(id, place)
  redis.call('SADD', P .. 'pa:' .. project, id)
  if place.gkey then
    redis.call('SADD', P .. 'ga:' .. place.gkey, id)
    refresh_everywhere(project, place.gkey)
  end
  local n = redis.call('HINCRBY', build(id), 'n', 1)
  redis.call('HSET', build(id), 'at', 'ready', 'class', class.key)
  redis.call('ZADD', P .. 'ready:' .. class.key, redis.call('INCR', P .. 'admitted'), id)
  class.ready = class.ready + 1

  local time = math.max(tonumber(redis.call('GET', P .. 'vtime') or '0'), turn.tag)
  redis.call('SET', P .. 'vtime', time)
  redis.call('ZREMRANGEBYSCORE', P .. 'served', '-inf', time)
  redis.call('ZADD', P .. 'served', turn.tag + 1, project)
  for _, lane in ipairs(lanes) do
    redis.call('ZADD', P .. 'vt:' .. lane.key, 'XX', math.max(time, turn.tag + 1), project)
  end
  tidy(place.lane, project)
  return n
end

-- Fills the free slots. Returns what BullMQ must be told, flat: id, n, class, id, n, class, …
local function admit()
  lapse()
  wake_delayed()
  local classes = muster()
  withdraw(classes)
  local admitted, full, any = {}, {}, false
  for _, class in ipairs(classes) do any = any or class.free > class.ready end
  if not any then return admitted end
  local lanes = {}
  local known = redis.call('HGETALL', P .. 'lanes')
  for i = 1, #known, 2 do
    local demand = cjson.decode(known[i + 1])
    local classes_of_lane, avoid = suited(classes, demand.labels, demand.excluded)
    lanes[#lanes + 1] = { key = known[i], classes = classes_of_lane, excluded = avoid and demand.excluded }
  end
  while true do
    local best
    for _, lane in ipairs(lanes) do
      for _, class in ipairs(lane.classes) do
        if room(class, lane.excluded) > 0 then
          local turn = head(lane.key, full)
          if turn and (not best or turn.tag < best.tag or (turn.tag == best.tag and turn.project < best.project)) then
            best = turn
            best.class = class
          end
          break
        end
      end
    end
    if not best then return admitted end
    local n = hand_over(best, lanes, best.class)
    full[best.project] = nil
    admitted[#admitted + 1] = best.id
    admitted[#admitted + 1] = n
    admitted[#admitted + 1] = best.class.key
  end
end
`;
