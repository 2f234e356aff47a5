/**
 * Turns of workflows with `concurrency`. Of a group, so many run at one time as the one that asks allows, in the order in
 * which their builds were made: who holds no turn stands in line, and those of earlier builds come first. Those of the
 * same build are not before each other, as one may depend on the other.
 *
 * That nobody waits for ever: who holds a turn runs, and needs no other turn for that. Who stands before others has a
 * slot of a worker; or stands aside, and comes forward when its turn has come; or waits for a slot, and loses its place
 * when it does so for long, as those behind it may be what has all the slots.
 */
export const turns = `
-- How long (ms) until a build that stands aside is looked at again when nobody calls it; and how long one that was
-- called, and waits for a slot, keeps its place.
local aside_ms, slot_ms = 60000, 30000

local function line_key(turn) return P .. 'tl:' .. turn.key end
local function holders_key(turn) return P .. 'th:' .. turn.key end
local function parse_member(member) return member:match('^([^/]*)/(.*)$') end

-- workflow -> key, name, limit, first (it waits for no other workflow of its build)
local function turns_of(id)
  local text = get(id, 'turns')
  return text and cjson.decode(text) or {}
end

-- Who keeps a workflow from its turn: nil, or how (held, ahead) and the build.
local function blocker(id, turn)
  local before = '(' .. id .. '/'
  local held = redis.call('SCARD', holders_key(turn))
  if held + redis.call('ZLEXCOUNT', line_key(turn), '-', before) < turn.limit then return nil end
  for _, member in ipairs(redis.call('SMEMBERS', holders_key(turn))) do
    local other = parse_member(member)
    if other ~= id then return 'held', other end
  end
  local first = redis.call('ZRANGE', line_key(turn), '-', before, 'BYLEX', 'LIMIT', 0, 1)[1]
  if first then return 'ahead', (parse_member(first)) end
  return 'held', id
end

-- By bytes, as sorted sets have them: < of Lua goes by the locale.
local function precedes(a, b)
  for i = 1, math.min(#a, #b) do
    if a:byte(i) ~= b:byte(i) then return a:byte(i) < b:byte(i) end
  end
  return #a < #b
end

-- An earlier build of the project that has a worker, or is about to, and has not told yet what it wants. What an attempt
-- writes first comes after its plan. Untrusted builds hold up no trusted ones: their groups are other ones.
local function unplanned(id)
  local trust
  local function trust_of(each) return cjson.decode(get(each, 'spec')).trust end
  for _, other in ipairs(redis.call('SMEMBERS', P .. 'pa:' .. place_of(id).project)) do
    if precedes(other, id) then
      local planned = redis.call('HEXISTS', build(other), 'record') + redis.call('HEXISTS', build(other), 'turns')
      if planned == 0 then
        trust = trust or trust_of(id)
        if trust_of(other) == trust then return other end
      end
    end
  end
end

local function take_turn(id, workflow, turn)
  local member = id .. '/' .. workflow
  if redis.call('SISMEMBER', holders_key(turn), member) == 1 then return nil end
  local how, by = blocker(id, turn)
  if not how then
    by = unplanned(id)
    if by then how = 'unplanned' end
  end
  if how then return { how = how, build = by, group = turn.name, limit = turn.limit } end
  redis.call('ZREM', line_key(turn), member)
  redis.call('SADD', holders_key(turn), member)
end

-- Tells a build that it may have a turn now.
local function rouse(id)
  local at, session = get(id, 'at', 'worker')
  if at == 'running' then
    redis.call('PUBLISH', P .. 'w:' .. session, id .. ' turn')
  elseif at == 'delayed' then
    redis.call('ZADD', P .. 'delayed', 'XX', now(), id)
  end
end

-- Tells the first ones of a line that may have one. Those far behind ask by themselves.
local function call_next(turn)
  local held = redis.call('SCARD', holders_key(turn))
  local ahead, last = 0, nil
  for i, member in ipairs(redis.call('ZRANGE', line_key(turn), 0, 31)) do
    local id, workflow = parse_member(member)
    if id ~= last then ahead, last = i - 1, id end
    local next_turn = turns_of(id)[workflow]
    if next_turn and held + ahead < next_turn.limit then rouse(id) end
  end
end

local function step_off(id, workflow, turn)
  redis.call('ZREM', line_key(turn), id .. '/' .. workflow)
  redis.call('SREM', holders_key(turn), id .. '/' .. workflow)
end

local function note_turns(id, turns)
  if next(turns) == nil then redis.call('HDEL', build(id), 'turns')
  else redis.call('HSET', build(id), 'turns', cjson.encode(turns)) end
end

-- Gives back every turn and every place that the build has.
local function leave_turns(id)
  local left, groups = turns_of(id), {}
  if next(left) == nil then return end
  note_turns(id, {})
  redis.call('ZREM', P .. 'called', id)
  for workflow, turn in pairs(left) do
    step_off(id, workflow, turn)
    groups[turn.key] = turn
  end
  for _, turn in pairs(groups) do call_next(turn) end
end

-- Of a build that runs nowhere and has places in lines: what keeps it from beginning; nil: nothing.
local function held_aside(id)
  local blocked
  for _, turn in pairs(turns_of(id)) do
    if turn.first then
      local how, by = blocker(id, turn)
      if not how then return nil end
      blocked = { how = how, build = by, group = turn.name, limit = turn.limit }
    end
  end
  return blocked
end

-- The build goes for a slot, and keeps its places for a while.
local function come_forward(id)
  if redis.call('HEXISTS', build(id), 'turns') == 1 then redis.call('ZADD', P .. 'called', now() + slot_ms, id) end
end

-- Builds that were called and got no slot in time.
local function lapse()
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'called', '-inf', now(), 'LIMIT', 0, 100)) do
    redis.call('ZREM', P .. 'called', id)
    local at = get(id, 'at')
    if at == 'waiting' or at == 'ready' then leave_turns(id) end
  end
end
`;

/**
 * What a running build wants, in place of what it wanted before. ARGV: id, attempt, session, JSON list of workflow, group
 * (any text), name (how it is shown), limit, first. Those that are `first` take their turns, in this order, as far as they
 * can. Replies the workflows that have theirs, and JSON of what the first of the others waits for ('': nothing).
 */
export const announceTurnsLua = `
local id, attempt, session, list = unpack(ARGV, 4)
if not holds(id, attempt, session) then return { 'stale', {}, '' } end
local wanted, project, before = cjson.decode(list), place_of(id).project, turns_of(id)
local turns, dropped = {}, {}
for _, each in ipairs(wanted) do
  local key = redis.sha1hex(project .. '\\n' .. each.group):sub(1, 16)
  turns[each.workflow] = { key = key, name = each.name, limit = each.limit, first = each.first }
end
for workflow, turn in pairs(before) do
  if not turns[workflow] or turns[workflow].key ~= turn.key then
    step_off(id, workflow, turn)
    dropped[turn.key] = turn
  end
end
note_turns(id, turns)
redis.call('ZREM', P .. 'called', id)
for _, each in ipairs(wanted) do
  local turn, member = turns[each.workflow], id .. '/' .. each.workflow
  if redis.call('SISMEMBER', holders_key(turn), member) == 0 then redis.call('ZADD', line_key(turn), 0, member) end
end
for _, turn in pairs(dropped) do call_next(turn) end
local taken, waits = {}, nil
for _, each in ipairs(wanted) do
  if each.first then
    local blocked = take_turn(id, each.workflow, turns[each.workflow])
    if blocked then waits = waits or blocked else taken[#taken + 1] = each.workflow end
  end
end
return { 'ok', taken, waits and cjson.encode(waits) or '' }
`;

/** ARGV: id, attempt, session, workflow. Replies `taken`, or `waits` and JSON of what for. */
export const takeTurnLua = `
local id, attempt, session, workflow = unpack(ARGV, 4)
if not holds(id, attempt, session) then return { 'stale' } end
local turn = turns_of(id)[workflow]
local blocked = turn and take_turn(id, workflow, turn)
if blocked then return { 'waits', cjson.encode(blocked) } end
return { 'taken' }
`;

/** A workflow has ended, or will not run. ARGV: id, attempt, session, workflow. Replies what was admitted. */
export const leaveTurnLua = `
local id, attempt, session, workflow = unpack(ARGV, 4)
if not holds(id, attempt, session) then return { 'stale', {} } end
local turns = turns_of(id)
local turn = turns[workflow]
if not turn then return { 'ok', {} } end
step_off(id, workflow, turn)
turns[workflow] = nil
note_turns(id, turns)
call_next(turn)
return { 'ok', admit() }
`;
