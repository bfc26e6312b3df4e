-- ARGV: queue, now. Returns how many wait, since when the one that waits longest does or -1, how many processes watch.
local queue, now = ARGV[1], ARGV[2]
local doorbells = P .. 'doorbells:' .. queue
local alive = redis.call('ZCOUNT', P .. 'beats:' .. queue, now, '+inf')
if not TAKES_TURNS[queue] then
  local first = redis.call('ZRANGE', P .. 'queued:' .. queue, 0, 0, 'WITHSCORES')
  return { redis.call('ZCARD', P .. 'queued:' .. queue), tonumber(first[2] or -1), alive }
end
local depth, oldest = redis.call('ZCARD', doorbells), -1
local function consider(id)
  local since = id and tonumber(redis.call('HGET', job_key(id), 'queued_ms') or -1) or -1
  if since >= 0 and (oldest < 0 or since < oldest) then oldest = since end
end
consider(redis.call('ZRANGE', doorbells, 0, 0)[1])
for _, tenant in ipairs(redis.call('LRANGE', P .. 'rotation:' .. queue, 0, -1)) do
  local turns = P .. 'turns:' .. queue .. ':' .. tenant
  depth = depth + redis.call('ZCARD', turns)
  consider(redis.call('ZRANGE', turns, 0, 0)[1])
end
return { depth, oldest, alive }
