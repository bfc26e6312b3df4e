-- ARGV: id, now, then items that were deleted. Returns 1 if every other item of the batch has a record.
local id, now = ARGV[1], ARGV[2]
local total = redis.call('HGET', batch_key(id), 'total')
if not total then return 0 end
local items, gone = P .. 'batch_items:' .. id, P .. 'batch_gone:' .. id
for i = 3, #ARGV do
  if not redis.call('ZSCORE', items, ARGV[i]) then redis.call('SADD', gone, ARGV[i]) end
end
if redis.call('ZCARD', items) + redis.call('SCARD', gone) < tonumber(total) then return 0 end
redis.call('HSET', batch_key(id), 'sealed', 1)
complete_if_over(id, now)
return 1
