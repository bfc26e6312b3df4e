-- ARGV: id, now, token, round, attempts kept, status, step, interruptions, next attempt ('' if none),
-- disabled until ('' if not), what else is to be known of that, then one line for each attempt.
-- Returns the record as it is now; nothing if there is none.
local id, now, token, round, kept = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local status, next_ms, disable_until = ARGV[6], ARGV[9], ARGV[10]
local d = load(id)
if not d then return {} end

local lines = {}
for line in string.gmatch(d.attempts, '[^\n]+') do lines[#lines + 1] = line end
for i = 12, #ARGV do
  local known = false
  for _, line in ipairs(lines) do known = known or line == ARGV[i] end
  if not known then lines[#lines + 1] = ARGV[i] end
end
redis.call('HSET', key(id), 'attempts', table.concat(lines, '\n', math.max(1, #lines - kept + 1)))

local valid = d.token == token
if d.status == 'pending' and (valid or (status == 'delivered' and d.round == round)) then
  land(id, d)
  dequeue(id, d)
  redis.call('HSET', key(id), 'step', ARGV[7], 'interruptions', ARGV[8])
  move(id, d, status)
  if status == 'pending' then enqueue(id, d, next_ms) else tally_end(status) end
  if disable_until ~= '' then
    redis.call('HSET', P .. 'disabled:' .. d.tenant, d.target, disable_until .. ' ' .. ARGV[11])
    redis.call('ZADD', P .. 'holds', disable_until, target_of(d))
  elseif status == 'delivered' and redis.call('HDEL', P .. 'disabled:' .. d.tenant, d.target) == 1 then
    redis.call('ZADD', P .. 'holds', now, target_of(d))
  end
end
redis.call('ZADD', P .. 'unarchived', now, id)
return redis.call('HGETALL', key(id))
