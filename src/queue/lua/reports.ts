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
 * each: commit, version, build, what was accepted last (build and state; '': nothing yet), how often the forge did not
 * take the present state, how often it denied it, and the state to tell: the furthest one that the build has been in when
 * it was taken, as a request without an answer may have told that.
 */
export const takeReportsLua = `
local most, lease, name = unpack(ARGV, 4)
local ranks = { queued = 0, running = 1 }
local function rank(status) return ranks[status] or 2 end
local taken = {}
for _, commit in ipairs(redis.call('ZRANGEBYSCORE', P .. 'reports', '-inf', now(), 'LIMIT', 0, most)) do
  local key = report_key(commit)
  local id, version, accepted, failed, denied, furthest, holder =
    unpack(redis.call('HMGET', key, 'build', 'version', 'accepted', 'failed', 'denied', 'furthest', 'lease'))
  -- Whoever had it died, perhaps while a request of its was under way.
  if holder then redis.call('HSET', key, 'unsure', 1) end
  local by, state = string.match(furthest or '', '^(%S+) (%S+)$')
  local status = get(id, 'status') or ''
  if by ~= id or rank(status) > rank(state) then state = status end
  redis.call('HSET', key, 'lease', name, 'furthest', id .. ' ' .. state)
  redis.call('ZADD', P .. 'reports', now() + lease, commit)
  taken[#taken + 1] =
    { commit, tonumber(version), id, accepted or '', tonumber(failed or '0'), tonumber(denied or '0'), state }
end
return taken
`;

/**
 * What came of it. ARGV: commit, name of the lease, version that was taken, build, then one of
 *
 *   told      state that the forge accepted, and after which time (ms) a verdict is to be confirmed
 *   nothing   ''
 *   failed, silent (it may have taken it, or still will), denied, resting (not tried)   when to try again, ms from now
 *   refused   why: it is given up
 *
 * and `ended` when no state can follow. A request without an answer may arrive after the verdict: that is then told once
 * more. 0: the lease was lost, and nothing is noted.
 */
export const settleReportLua = `
local commit, name, version, id, outcome, detail, state = unpack(ARGV, 4)
local key = report_key(commit)
if redis.call('HGET', key, 'lease') ~= name then return 0 end
redis.call('HDEL', key, 'lease')
local changed = redis.call('HGET', key, 'version') ~= version
local again
if outcome == 'told' then
  local status, confirm = detail:match('^(%S+) (%S+)$')
  redis.call('HSET', key, 'accepted', id .. ' ' .. status)
  redis.call('HDEL', build(id), 'unreported')
  if state == 'ended' and not changed and redis.call('HDEL', key, 'unsure') == 1 then
    redis.call('HDEL', key, 'accepted')
    again = now() + tonumber(confirm)
  end
elseif outcome == 'refused' then
  if redis.call('EXISTS', build(id)) == 1 then redis.call('HSET', build(id), 'unreported', detail) end
elseif outcome ~= 'nothing' then
  again = now() + tonumber(detail)
  if outcome == 'silent' then redis.call('HSET', key, 'unsure', 1) end
end
if changed then
  redis.call('ZADD', P .. 'reports', again or now(), commit)
elseif again then
  if outcome == 'denied' then redis.call('HINCRBY', key, 'denied', 1) end
  if outcome == 'failed' or outcome == 'silent' then redis.call('HINCRBY', key, 'failed', 1) end
  redis.call('ZADD', P .. 'reports', again, commit)
else
  redis.call('ZREM', P .. 'reports', commit)
  if state == 'ended' then redis.call('DEL', key) end
end
return 1
`;
