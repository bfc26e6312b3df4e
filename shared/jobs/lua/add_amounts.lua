-- ARGV: token, how long it is kept, then series and amounts. Returns 1 if they were added, 0 if they had been before.
if not redis.call('SET', P .. 'sent:' .. ARGV[1], 1, 'NX', 'PX', ARGV[2]) then return 0 end
for i = 3, #ARGV, 2 do redis.call('HINCRBYFLOAT', P .. 'counts', ARGV[i], ARGV[i + 1]) end
return 1
