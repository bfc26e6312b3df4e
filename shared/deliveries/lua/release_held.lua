-- ARGV: now, limit. Makes deliveries due whose target is enabled again; returns how many.
local now, left = tonumber(ARGV[1]), tonumber(ARGV[2])
local done = 0
for _, target in ipairs(redis.call('ZRANGEBYSCORE', P .. 'holds', '-inf', now, 'LIMIT', 0, left)) do
  local tenant, hash = string.match(target, '^([^|]*)|(.*)$')
  local until_ms = disabled_until({ tenant = tenant, target = hash })
  if until_ms > now then
    redis.call('ZADD', P .. 'holds', until_ms, target)
  else
    redis.call('HDEL', P .. 'disabled:' .. tenant, hash)
    for _, id in ipairs(redis.call('ZRANGE', P .. 'held:' .. target, 0, left - done - 1)) do
      local d = load(id)
      redis.call('ZREM', P .. 'held:' .. target, id)
      if d then
        enqueue(id, d, now)
        done = done + 1
      end
    end
    if redis.call('EXISTS', P .. 'held:' .. target) == 0 then redis.call('ZREM', P .. 'holds', target) end
  end
  if done >= left then break end
end
return done
