/** A newer build of the same branch or pull request makes the older ones needless. */
export const supersession = `
-- What happened earlier is older, whenever it arrived; where that is not known of both, what arrived earlier.
-- happened: ms, or nil. Replies the newer build that makes this one needless, or nil; and which older ones ended at once.
local function supersede(id, at, line, happened)
  -- Nothing happens after it arrived: with a date in the future all that follows would look old.
  happened = math.min(happened or 0, now())
  local key = P .. 'line:' .. line
  local others = redis.call('ZRANGE', key, 0, -1, 'REV', 'WITHSCORES')
  if happened > 0 and others[1] and tonumber(others[2]) > happened then return others[1], {} end
  local ended = {}
  for i = 1, #others, 2 do
    if cancel(others[i], at, 'superseded by build ' .. id) == 'canceled' then ended[#ended + 1] = others[i] end
  end
  redis.call('ZADD', key, happened, id)
  redis.call('HSET', build(id), 'line', line)
  return nil, ended
end
`;
