/** Facts for `why` and for statistics. Read only. */

/**
 * ARGV: id. Replies JSON: where the build is, and of a delayed one until when (ms), or for whose turn; of a waiting one
 * its labels, how many workers and slots fit and how many are taken, what counts against its caps, and its position in
 * its project.
 */
export const explainLua = `
local id = ARGV[4]
local at, failures = get(id, 'at', 'failures')
if not at then return cjson.encode({ at = 'unknown' }) end
local fact = { id = id, at = at, failures = tonumber(failures or '0') }
if at == 'delayed' then
  fact.due = tonumber(redis.call('ZSCORE', P .. 'delayed', id))
  fact.waits = held_aside(id)
end
if at ~= 'waiting' then return cjson.encode(fact) end
local place = place_of(id)
local fitting, avoid = suited(muster(), place.labels, place.excluded)
fact.project, fact.group, fact.labels = place.project, place.group, place.labels
fact.avoids = avoid and place.excluded or ''
fact.workers, fact.slots, fact.free = 0, 0, 0
for _, class in ipairs(fitting) do
  for _, worker in ipairs(class.workers) do
    if not avoid or worker.id ~= place.excluded then
      fact.workers, fact.slots = fact.workers + 1, fact.slots + worker.slots
    end
  end
  fact.free = fact.free + math.max(0, room(class, avoid and place.excluded))
end
fact.cap = cap_of(place.project)
fact.inProject = redis.call('SCARD', P .. 'pa:' .. place.project)
local line = P .. 'wait:' .. place.lane .. ':' .. place.project
fact.waiting = redis.call('ZCARD', line)
fact.position = (redis.call('ZRANK', line, id) or -1) + 1
if place.gkey then
  fact.inGroup = redis.call('SCARD', P .. 'ga:' .. place.gkey)
  fact.groupPosition = redis.call('ZRANK', P .. 'gw:' .. place.lane .. ':' .. place.gkey, id) + 1
end
return cjson.encode(fact)
`;

/** ARGV: most projects to name. Replies JSON. */
export const statsLua = `
local lanes, projects = {}, {}
local total = { delayed = redis.call('ZCARD', P .. 'delayed'), held = redis.call('ZCARD', P .. 'held'), waiting = 0, ready = 0,
  running = redis.call('ZCARD', P .. 'i:s:running'), reports = redis.call('ZCARD', P .. 'reports') }
local function project_named(name)
  if not projects[name] then
    projects[name] = { waiting = 0, active = redis.call('SCARD', P .. 'pa:' .. name) }
  end
  return projects[name]
end
local known = redis.call('HGETALL', P .. 'lanes')
for i = 1, #known, 2 do
  local key, demand = known[i], cjson.decode(known[i + 1])
  local lane = { labels = demand.labels, avoids = demand.excluded, waiting = 0, projects = 0 }
  for _, name in ipairs(redis.call('ZRANGE', P .. 'vt:' .. key, 0, -1)) do
    local depth = redis.call('ZCARD', P .. 'wait:' .. key .. ':' .. name)
    for _, gkey in ipairs(redis.call('SMEMBERS', P .. 'gs:' .. key .. ':' .. name)) do
      depth = depth + redis.call('ZCARD', P .. 'gw:' .. key .. ':' .. gkey)
        - redis.call('HEXISTS', P .. 'gfirst', key .. ':' .. gkey)
    end
    lane.waiting, lane.projects = lane.waiting + depth, lane.projects + 1
    local project = project_named(name)
    project.waiting = project.waiting + depth
  end
  total.waiting = total.waiting + lane.waiting
  lanes[#lanes + 1] = lane
end
local workers = {}
for _, class in ipairs(redis.call('HKEYS', P .. 'classes')) do
  total.ready = total.ready + redis.call('ZCARD', P .. 'ready:' .. class)
  local slots = redis.call('HGETALL', P .. 'slots:' .. class)
  for i = 1, #slots, 2 do
    workers[#workers + 1] = { info = redis.call('HGET', P .. 'workers', slots[i]), slots = tonumber(slots[i + 1]),
      running = redis.call('SCARD', P .. 'run:' .. slots[i]) }
  end
end
local names = {}
for name, project in pairs(projects) do names[#names + 1] = { name = name, waiting = project.waiting, active = project.active } end
table.sort(names, function(a, b) return a.waiting > b.waiting or (a.waiting == b.waiting and a.name < b.name) end)
local most = {}
for i = 1, math.min(#names, tonumber(ARGV[4])) do most[i] = names[i] end
local oldest = ''
for _, id in ipairs(redis.call('ZRANGE', P .. 'i:s:queued', 0, 99)) do
  local at = get(id, 'at')
  if at ~= 'delayed' and at ~= 'held' then oldest = id break end
end
return { cjson.encode(total), oldest, #lanes == 0 and '[]' or cjson.encode(lanes),
  #most == 0 and '[]' or cjson.encode(most), #workers == 0 and '[]' or cjson.encode(workers) }
`;
