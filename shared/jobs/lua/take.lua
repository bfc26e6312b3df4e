-- ARGV: queue, now, limit, when they line up again, how many may line up at once. Returns the next ids, of each tenant
-- in turn.
local queue, now, limit, due = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local rotation, doorbells = P .. 'rotation:' .. queue, P .. 'doorbells:' .. queue
for _, id in ipairs(redis.call('ZRANGEBYSCORE', doorbells, '-inf', now, 'LIMIT', 0, ARGV[5])) do
  redis.call('ZREM', doorbells, id)
  local tenant = redis.call('HGET', job_key(id), 'tenant')
  if tenant then enter_turns(id, queue, tenant) end
end
local given = {}
while #given < limit do
  local tenant = redis.call('LPOP', rotation)
  if not tenant then break end
  local turns = P .. 'turns:' .. queue .. ':' .. tenant
  given[#given + 1] = redis.call('ZPOPMIN', turns)[1]
  if redis.call('EXISTS', turns) == 1 then redis.call('RPUSH', rotation, tenant) end
end
for _, id in ipairs(given) do redis.call('ZADD', doorbells, due, id) end
return given
