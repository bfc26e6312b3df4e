-- ARGV: id, when it is to expire. Returns 1 if it will then.
local id, expires = ARGV[1], ARGV[2]
local before = redis.call('HGET', job_key(id), 'expires_ms')
if not before or tonumber(before) <= tonumber(expires) then return 0 end
redis.call('HSET', job_key(id), 'expires_ms', expires)
redis.call('ZADD', P .. 'expiry', expires, id)
return 1
