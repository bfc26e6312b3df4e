-- ARGV: process, now, until when, for how long, then series and values. Takes the place of what the process held.
local process, now = ARGV[1], ARGV[2]
redis.call('DEL', P .. 'held:' .. process)
redis.call('ZREMRANGEBYSCORE', P .. 'holders', '-inf', now)
if #ARGV > 4 then
  redis.call('HSET', P .. 'held:' .. process, unpack(ARGV, 5))
  redis.call('PEXPIRE', P .. 'held:' .. process, ARGV[4])
  redis.call('ZADD', P .. 'holders', ARGV[3], process)
end
return 1
