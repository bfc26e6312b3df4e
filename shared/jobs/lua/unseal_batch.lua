-- ARGV: id, now. Returns 1 if there is such a batch; it is not complete before it is sealed again.
local id, now = ARGV[1], ARGV[2]
if redis.call('EXISTS', batch_key(id)) == 0 then return 0 end
open_batch(id, now)
redis.call('HSET', batch_key(id), 'sealed', 0)
return 1
