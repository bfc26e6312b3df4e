-- ARGV: now, limit, when to look again. Returns batches that are not complete and puts the next look off.
local ids = redis.call('ZRANGEBYSCORE', P .. 'open_batches', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do redis.call('ZADD', P .. 'open_batches', ARGV[3], id) end
return ids
