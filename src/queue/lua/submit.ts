/**
 * Accepts a build. ARGV: id, spec, place, branch index ('': none), not before (ms, 0: at once), idempotency key
 * ('': none), fingerprint of what is asked for, digest of the upload it needs ('': none). Replies `created`; or, with the
 * id that the key stands for, `existing`, or `different` when that has another fingerprint; then what was admitted.
 * The same id again is a resent command whose reply was lost.
 */
export const submitLua = `
local id, spec, place, branch, due, key, fingerprint, upload = unpack(ARGV, 4)
if key ~= '' then
  local first, asked = string.match(redis.call('GET', P .. 'idem:' .. key) or '', '^(%S+) (%S+)$')
  if first and first ~= id and redis.call('EXISTS', build(first)) == 1 then
    return { asked == fingerprint and 'existing' or 'different', first, {} }
  end
  redis.call('SET', P .. 'idem:' .. key, id .. ' ' .. fingerprint, 'EX', 86400)
end
if redis.call('EXISTS', build(id)) == 1 then return { 'created', id, {} } end
redis.call('HSET', build(id), 'spec', spec, 'status', 'queued', 'place', place)
local where = parse_place(place)
redis.call('ZADD', P .. 'i:all', 0, id)
redis.call('ZADD', P .. 'i:s:queued', 0, id)
redis.call('ZADD', P .. 'i:p:' .. where.project, 0, id)
redis.call('ZADD', P .. 'i:ps:queued:' .. where.project, 0, id)
if branch ~= '' then redis.call('ZADD', branch, 0, id) end
if upload ~= '' then use_upload(id, upload) end
if tonumber(due) > now() then
  redis.call('ZADD', P .. 'delayed', due, id)
  redis.call('HSET', build(id), 'at', 'delayed')
else
  stand(id, where)
end
return { 'created', id, admit() }
`;
