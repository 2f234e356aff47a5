/**
 * What forges are to be told. A forge shows one state for a commit and context: that of the newest build of it, which
 * speaks for the commit until it has ended or another one comes. Noted here, in one step with the change itself, is only
 * that something changed; src/statuses reads what the state is when it tells it.
 */
export const reports = `
local function report_key(commit) return P .. 'report:' .. commit end

-- A forge that is being told, or was asked too often, is not asked earlier because of another change.
local function report(id)
  local commit = redis.call('HGET', build(id), 'commit')
  if not commit or redis.call('HGET', report_key(commit), 'build') ~= id then return end
  redis.call('HINCRBY', report_key(commit), 'version', 1)
  redis.call('HDEL', report_key(commit), 'failed', 'denied')
  redis.call('ZADD', P .. 'reports', 'NX', now(), commit)
end

-- From now on the build speaks for its commit; one that is superseded already only when nobody else does.
local function report_from(id, commit, superseded)
  if superseded and redis.call('EXISTS', report_key(commit)) == 1 then return end
  redis.call('HSET', build(id), 'commit', commit)
  redis.call('HSET', report_key(commit), 'build', id)
  report(id)
end
`;

/**
 * Takes what is due; nobody else gets it while the lease lasts. ARGV: how many, lease (ms), name of the lease. Replies of
 * each: commit, version, build, what was accepted last (build and state; '': nothing yet), how often the forge failed, how often it denied the present state.
 */
export const takeReportsLua = `
local most, lease, name = unpack(ARGV, 4)
local taken = {}
for _, commit in ipairs(redis.call('ZRANGEBYSCORE', P .. 'reports', '-inf', now(), 'LIMIT', 0, most)) do
  local key = report_key(commit)
  local id, version, accepted, failed, denied = unpack(redis.call('HMGET', key, 'build', 'version', 'accepted', 'failed', 'denied'))
  redis.call('HSET', key, 'lease', name)
  redis.call('ZADD', P .. 'reports', now() + lease, commit)
  taken[#taken + 1] = { commit, tonumber(version), id, accepted or '', tonumber(failed or '0'), tonumber(denied or '0') }
end
return taken
`;

/**
 * What came of it. ARGV: commit, name of the lease, version that was taken, build, then `told` and the state that the
 * forge accepted, `nothing` and '', `failed`, `denied` or `resting` (not tried) and when to try again (ms from now), or
 * `refused` and why; then `ended` when no state can follow. 0: the lease was lost, and nothing is noted.
 */
export const settleReportLua = `
local commit, name, version, id, outcome, detail, state = unpack(ARGV, 4)
local key = report_key(commit)
if redis.call('HGET', key, 'lease') ~= name then return 0 end
redis.call('HDEL', key, 'lease')
if outcome == 'told' then
  redis.call('HSET', key, 'accepted', id .. ' ' .. detail)
  redis.call('HDEL', build(id), 'unreported')
elseif outcome == 'refused' and redis.call('EXISTS', build(id)) == 1 then
  redis.call('HSET', build(id), 'unreported', detail)
end
local again = (outcome == 'failed' or outcome == 'denied' or outcome == 'resting') and now() + tonumber(detail)
if redis.call('HGET', key, 'version') ~= version then
  redis.call('ZADD', P .. 'reports', again or now(), commit)
elseif again then
  if outcome ~= 'resting' then redis.call('HINCRBY', key, outcome, 1) end
  redis.call('ZADD', P .. 'reports', again, commit)
else
  redis.call('ZREM', P .. 'reports', commit)
  if state == 'ended' then redis.call('DEL', key) end
end
return 1
`;
