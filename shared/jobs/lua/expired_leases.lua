-- ARGV: now, limit, when to look again. Returns ids whose lease ran out and puts the next look off.
local ids = redis.call('ZRANGEBYSCORE', P .. 'leases', '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
-- Taken out first: a Redis that is full takes only what makes room, and whatever follows in the same script.
for _, id in ipairs(ids) do
  redis.call('ZREM', P .. 'leases', id)
  redis.call('ZADD', P .. 'leases', ARGV[3], id)
end
return ids
