-- ARGV: key, now, token, until when. Holds a key, also anew, unless it is known or another token holds it.
local name, now, token, until_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', P .. 'rebuilt') == 0 then return { 'rebuilding' } end
local held = held_key(name, now)
if held and held.id then return { 'known', held.id, held.fingerprint } end
if held and held.token ~= token then return { 'in_flight' } end
redis.call('DEL', idempotency_key(name))
redis.call('HSET', idempotency_key(name), 'token', token, 'until_ms', until_ms)
redis.call('PEXPIRE', idempotency_key(name), until_ms - now)
return { 'reserved' }
