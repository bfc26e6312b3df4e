-- ARGV: tenant, token, now, bytes there were, no more than were taken. Returns 1 if what was taken under the token was held; it has records now.
local held, token = A .. 'held:' .. ARGV[1], ARGV[2]
local before = redis.call('HGET', held, token)
if not before then return 0 end
local entry = held_entry(before)
redis.call('HDEL', held, token)
count_in_step(A .. 'bytes:' .. ARGV[1], entry.bytes_step, math.min(0, tonumber(ARGV[4]) - entry.bytes))
return entry.until_ms > tonumber(ARGV[3]) and 1 or 0
