-- ARGV: id, round, status, attempts, as storage has them, now. Returns 1 if there is a record.
local id = ARGV[1]
local d = load(id)
if not d then return 0 end
if d.round == ARGV[2] and d.status == ARGV[3] and d.attempts == ARGV[4] then
  redis.call('ZREM', P .. 'unarchived', id)
else
  -- Whoever wrote this came late: it may lie over what was there already.
  redis.call('ZADD', P .. 'unarchived', 'NX', ARGV[5], id)
end
return 1
