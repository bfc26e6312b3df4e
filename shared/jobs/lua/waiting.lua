-- ARGV: queue, now, tenant, id. Of a queue that takes turns, returns how many wait for their turn, how many were handed
-- out or put off, how many of those line up again, and after how many the job is handed out, or -1.
local queue, now, tenant, id = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local doorbells = P .. 'doorbells:' .. queue
local rank = redis.call('ZRANK', P .. 'turns:' .. queue .. ':' .. tenant, id)
local waiting, before = 0, 0
for _, other in ipairs(redis.call('LRANGE', P .. 'rotation:' .. queue, 0, -1)) do
  local turns = redis.call('ZCARD', P .. 'turns:' .. queue .. ':' .. other)
  waiting = waiting + turns
  if rank then before = before + math.min(turns, other == tenant and rank or rank + 1) end
end
if not rank then before = redis.call('ZSCORE', doorbells, id) and 0 or -1 end
return { waiting, redis.call('ZCARD', doorbells), redis.call('ZCOUNT', doorbells, '-inf', now), before }
