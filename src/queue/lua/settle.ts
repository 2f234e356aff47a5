/** How an attempt ends. All are fenced by id, attempt and session: anybody else's gets `stale` and changes nothing. */

/**
 * The verdict. ARGV: id, attempt, session, time (ISO), status, reason, message, record. Said twice by the same
 * attempt it is `ok` twice: the first reply may have been lost.
 */
export const finishLua = `
local id, attempt, session, at, status, reason, message, record = unpack(ARGV, 4)
if not holds(id, attempt, session) then
  local where, last, holder = get(id, 'at', 'attempt', 'worker')
  if where == 'ended' and last == attempt and holder == session then return { 'ok', {} } end
  return { 'stale', {} }
end
local place = place_of(id)
stop_attempt(id, at, status, reason, message)
redis.call('HSET', build(id), 'record', record)
finish(id, place, status)
return { 'ok', admit() }
`;

/**
 * No verdict. ARGV: id, attempt, session, time (ISO), kind, reason, message, record ('': none), labels that it asks for
 * from now on ('same': as before), most attempts, most deaths, backoff (ms) after each failure. kind `infrastructure`
 * counts and waits; `requeue` does neither; `aside` waits for a turn of src/queue/lua/turns.ts.
 */
export const giveBackLua = `
local id, attempt, session, at, kind, reason, message, record, labels, attempts, deaths = unpack(ARGV, 4, 14)
if not holds(id, attempt, session) then return { 'stale', '', {} } end
local failed = kind == 'infrastructure'
local limits = { attempts = tonumber(attempts), deaths = tonumber(deaths), backoff = {} }
for i = 15, #ARGV do limits.backoff[#limits.backoff + 1] = tonumber(ARGV[i]) end
if record ~= '' then redis.call('HSET', build(id), 'record', record) end
if kind == 'aside' then
  step_aside(id, at)
  return { 'ok', get(id, 'status'), admit() }
end
if labels ~= 'same' then relabel(id, labels) end
take_back(id, at, { failed = failed, died = false, status = failed and 'errored' or '', reason = reason, message = message }, limits)
return { 'ok', get(id, 'status'), admit() }
`;

/** ARGV: id, time (ISO). Replies `canceled`, `canceling`, `finished` or `unknown`. */
export const cancelLua = `
local id, at = unpack(ARGV, 4)
local kind = cancel(id, at, '')
return { kind, kind == 'canceled' and admit() or {} }
`;

/**
 * Lets a held build into the line. ARGV: id, time (ISO), who did. Replies `approved`, also when it was before; `unheld`:
 * it does not wait for that; `finished` or `unknown`.
 */
export const approveLua = `
local id, at, by = unpack(ARGV, 4)
local status, where, approved, due = get(id, 'status', 'at', 'approved', 'due')
if not status then return { 'unknown', {} } end
if status ~= 'queued' and status ~= 'running' then return { 'finished', {} } end
if where ~= 'held' then return { approved and 'approved' or 'unheld', {} } end
redis.call('ZREM', P .. 'held', id)
redis.call('HSET', build(id), 'approved', cjson.encode({ by = by, at = at }))
line_up(id, place_of(id), tonumber(due))
tell(id, 'record')
return { 'approved', admit() }
`;
