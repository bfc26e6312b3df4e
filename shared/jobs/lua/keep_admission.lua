-- ARGV: tenant, token, now, held until. Returns 1 if what was taken under the token is held, and now for longer.
local held, token = A .. 'held:' .. ARGV[1], ARGV[2]
local before = redis.call('HGET', held, token)
if not before or held_entry(before).until_ms <= tonumber(ARGV[3]) then return 0 end
redis.call('HSET', held, token, (string.gsub(before, '^%d+', ARGV[4])))
redis.call('PEXPIRE', held, HELD_FOR_MS)
return 1
