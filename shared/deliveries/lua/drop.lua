-- ARGV: id. Forgets the record.
local id = ARGV[1]
local d = load(id)
if not d then return 0 end
land(id, d)
dequeue(id, d)
for _, index in ipairs(indexes(d)) do redis.call('ZREM', index, id) end
redis.call('ZREM', P .. 'expiry', id)
redis.call('ZREM', P .. 'unarchived', id)
redis.call('DEL', key(id))
return 1
