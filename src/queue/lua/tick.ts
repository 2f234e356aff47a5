/** What must happen also when nobody asks for it. */

/**
 * Admits, and shows what the caller watches over. ARGV: age (ms) of ended builds that ought to be in storage by now.
 * Replies admitted builds; beats, flat; ended builds not archived; ready builds, flat: id, n, class.
 */
export const tickLua = `
local admitted = admit()
local ready = {}
for _, class in ipairs(redis.call('HKEYS', P .. 'classes')) do
  for _, id in ipairs(redis.call('ZRANGE', P .. 'ready:' .. class, 0, 499)) do
    ready[#ready + 1] = id
    ready[#ready + 1] = tonumber(get(id, 'n'))
    ready[#ready + 1] = class
  end
end
local overdue = redis.call('ZRANGEBYSCORE', P .. 'unarchived', '-inf', now() - tonumber(ARGV[4]), 'LIMIT', 0, 50)
return { admitted, redis.call('HGETALL', P .. 'beats'), overdue, ready }
`;

/** BullMQ lost a ready build: hands it over anew. ARGV: id, n as it was when the loss was seen. */
export const handAgainLua = `
local id, n = unpack(ARGV, 4)
local where, current, class = get(id, 'at', 'n', 'class')
if where ~= 'ready' or current ~= n then return {} end
return { id, redis.call('HINCRBY', build(id), 'n', 1), class }
`;
