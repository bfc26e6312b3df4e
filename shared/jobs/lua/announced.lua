-- ARGV: tenant, id, when its end was noted as the announcer saw it. A later end that was noted since stays.
local member = ARGV[1] .. '|' .. ARGV[2]
if redis.call('ZSCORE', P .. 'announcements', member) == ARGV[3] then
  redis.call('ZREM', P .. 'announcements', member)
end
return 1
