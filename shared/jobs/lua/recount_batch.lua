-- ARGV: id, now, then every status. Returns 1 if the counts of the batch were right, and sets them right.
local id, now = ARGV[1], ARGV[2]
if redis.call('EXISTS', batch_key(id)) == 0 then return 1 end
local counts, right = {}, 1
for _, item in ipairs(redis.call('ZRANGE', P .. 'batch_items:' .. id, 0, -1)) do
  local status = redis.call('HGET', job_key(item), 'status')
  if status then counts[status] = (counts[status] or 0) + 1 end
end
for i = 3, #ARGV do
  local field = 'n_' .. ARGV[i]
  if tonumber(redis.call('HGET', batch_key(id), field) or 0) ~= (counts[ARGV[i]] or 0) then
    right = 0
    redis.call('HSET', batch_key(id), field, counts[ARGV[i]] or 0)
  end
end
complete_if_over(id, now)
return right
