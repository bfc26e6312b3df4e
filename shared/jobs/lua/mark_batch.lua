-- ARGV: id, now, which mark, when. Returns 1 if the batch did not bear that mark, and does now.
local id = ARGV[1]
if redis.call('EXISTS', batch_key(id)) == 0 then return 0 end
if redis.call('HSETNX', batch_key(id), ARGV[3], ARGV[4]) == 0 then return 0 end
redis.call('ZADD', P .. 'open_batches', 'XX', ARGV[2], id)
return 1
