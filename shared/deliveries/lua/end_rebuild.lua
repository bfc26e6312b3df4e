-- ARGV: token, now. Returns 1 if nothing was lost since the token was given, and notes that the records are complete.
if redis.call('DEL', P .. 'rebuilding:' .. ARGV[1]) == 0 then return 0 end
redis.call('SET', P .. 'rebuilt', ARGV[2])
return 1
