-- ARGV: key, token. Forgets whatever the holder of the token noted.
local name, token = ARGV[1], ARGV[2]
local held = redis.call('HMGET', idempotency_key(name), 'token', 'id')
if held[1] ~= token then return 0 end
redis.call('DEL', idempotency_key(name))
if held[2] then redis.call('DEL', P .. 'idempotency_of:' .. held[2]) end
return 1
