/**
 * Accepts a build. ARGV: id, time (ISO), spec, place, wishes (JSON; see src/queue/request.ts), branch index ('': none),
 * idempotency key ('': none), fingerprint of what is asked for. Replies `created`; or, with the id that the key stands
 * for, `existing`, or `different` when that has another fingerprint; then what was admitted, the build's number, and which
 * builds ended: those that this one supersedes, or itself, superseded by a newer one.
 * The same id again is a resent command whose reply was lost.
 */
export const submitLua = `
local id, at, spec, place, wishes, branch, key, fingerprint = unpack(ARGV, 4)
if key ~= '' then
  local first, asked = string.match(redis.call('GET', P .. 'idem:' .. key) or '', '^(%S+) (%S+)$')
  if first and first ~= id and redis.call('EXISTS', build(first)) == 1 then
    return { asked == fingerprint and 'existing' or 'different', first, {}, 0, {} }
  end
  redis.call('SET', P .. 'idem:' .. key, id .. ' ' .. fingerprint, 'EX', 86400)
end
if redis.call('EXISTS', build(id)) == 1 then
  local number, status = get(id, 'number', 'status')
  return { 'created', id, {}, tonumber(number or '0'), status ~= 'queued' and { id } or {} }
end
local where = parse_place(place)
wishes = cjson.decode(wishes)
local number = redis.call('HINCRBY', P .. 'numbers', where.project, 1)
redis.call('HSET', build(id), 'spec', spec, 'status', 'queued', 'at', 'new', 'place', place, 'number', number)
redis.call('ZADD', P .. 'i:all', 0, id)
redis.call('ZADD', P .. 'i:s:queued', 0, id)
redis.call('ZADD', P .. 'i:p:' .. where.project, 0, id)
redis.call('ZADD', P .. 'i:ps:queued:' .. where.project, 0, id)
if branch ~= '' then redis.call('ZADD', branch, 0, id) end
if wishes.upload then use_upload(id, wishes.upload) end
local ended, newer = {}, nil
if wishes.line then newer, ended = supersede(id, at, wishes.line, wishes.happened) end
if wishes.commit then report_from(id, wishes.commit, newer) end
if newer then
  cancel(id, at, 'superseded by build ' .. newer)
  ended = { id }
elseif wishes.hold then
  redis.call('ZADD', P .. 'held', 0, id)
  redis.call('HSET', build(id), 'at', 'held', 'due', wishes.due or 0)
else
  line_up(id, where, wishes.due or 0)
end
return { 'created', id, admit(), number, ended }
`;
