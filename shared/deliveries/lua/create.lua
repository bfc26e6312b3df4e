-- ARGV: id, then the record's fields and values. Returns 1 if the record was written.
local id = ARGV[1]
if redis.call('EXISTS', key(id)) == 1 then return 0 end
redis.call('HSET', key(id), unpack(ARGV, 2))
local d = load(id)
for _, index in ipairs(indexes(d)) do redis.call('ZADD', index, 0, id) end
redis.call('ZADD', P .. 'expiry', d.expires_ms, id)
if d.status == 'pending' then enqueue(id, d, d.next_ms) end
return 1
