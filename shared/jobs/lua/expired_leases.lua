-- ARGV: now, limit, when to look again. Returns ids whose lease ran out and puts the next look off.
local ids = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do redis.call('ZADD', P .. 'leases', ARGV[3], id) end
return ids
