-- ARGV: id, now, when to look at it, then the record's fields and values. Returns 1 if the batch was written.
local id = ARGV[1]
if redis.call('EXISTS', batch_key(id), P .. 'batch_items:' .. id) > 0 then return 0 end
redis.call('HSET', batch_key(id), unpack(ARGV, 4))
local batch = redis.call('HMGET', batch_key(id), 'tenant', 'expires_ms')
redis.call('ZADD', P .. 'batches:' .. batch[1], 0, id)
redis.call('ZADD', P .. 'batch_expiry', batch[2], id)
redis.call('ZADD', P .. 'open_batches', ARGV[3], id)
redis.call('SADD', P .. 'open_batches:' .. batch[1], id)
return 1
