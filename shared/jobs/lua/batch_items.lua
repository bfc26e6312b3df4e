-- ARGV: batch, status or nothing, after which place, ids at most, items to look at. Returns the place of the last one
-- looked at, how many were, and the ids.
local flat = redis.call('ZRANGEBYSCORE', P .. 'batch_items:' .. ARGV[1], '(' .. ARGV[3], '+inf', 'WITHSCORES',
  'LIMIT', 0, ARGV[5])
local found = { ARGV[3], 0 }
for i = 1, #flat, 2 do
  if #found - 2 == tonumber(ARGV[4]) then break end
  found[1], found[2] = flat[i + 1], (i + 1) / 2
  if ARGV[2] == '' or redis.call('HGET', job_key(flat[i]), 'status') == ARGV[2] then found[#found + 1] = flat[i] end
end
return found
