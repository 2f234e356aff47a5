/** What the live workers can take: classes, free slots, and who may run what. */
export const fleet = `
local function id_of(session) return session:match('^(.*)#') end

local function count(list)
  local n = 0
  for _ in pairs(list) do n = n + 1 end
  return n
end

-- Free slots are counted from the sets of running builds, worker by worker: one that runs more than it should
-- takes nothing from another.
local function muster()
  local classes = {}
  local known = redis.call('HGETALL', P .. 'classes')
  for i = 1, #known, 2 do
    local class = { key = known[i], labels = cjson.decode(known[i + 1]), workers = {}, slots = 0, free = 0 }
    local slots = redis.call('HGETALL', P .. 'slots:' .. class.key)
    for j = 1, #slots, 2 do
      local worker = { id = id_of(slots[j]), slots = tonumber(slots[j + 1]) }
      worker.free = math.max(0, worker.slots - redis.call('SCARD', P .. 'run:' .. slots[j]))
      class.slots = class.slots + worker.slots
      class.free = class.free + worker.free
      class.workers[#class.workers + 1] = worker
    end
    class.ready = redis.call('ZCARD', P .. 'ready:' .. class.key)
    if #slots == 0 and class.ready == 0 then redis.call('HDEL', P .. 'classes', class.key) end
    classes[#classes + 1] = class
  end
  -- The least special class first, so that special workers stay free for builds that need them.
  table.sort(classes, function(a, b)
    local na, nb = count(a.labels), count(b.labels)
    if na ~= nb then return na < nb end
    return a.key < b.key
  end)
  return classes
end

local function offers(class, demand)
  for name, value in pairs(demand) do
    if class.labels[name] ~= value and class.labels[name] ~= '*' then return false end
  end
  return true
end

-- The classes that offer what a lane demands, and whether the lane's unwanted worker can be avoided.
local function suited(classes, labels, excluded)
  local demand = labels == '' and {} or cjson.decode(labels)
  local fitting, avoidable = {}, false
  for _, class in ipairs(classes) do
    if offers(class, demand) then
      fitting[#fitting + 1] = class
      for _, worker in ipairs(class.workers) do
        if worker.id ~= excluded and worker.slots > 0 then avoidable = true end
      end
    end
  end
  return fitting, excluded ~= '' and avoidable
end

-- Slots of a class that no running or ready build has taken; the unwanted worker's do not count.
local function room(class, excluded)
  if not excluded then return class.free - class.ready end
  local free = 0
  for _, worker in ipairs(class.workers) do
    if worker.id ~= excluded then free = free + worker.free end
  end
  return math.min(free, class.free) - class.ready
end
`;
