-- ARGV: id, now, tenant, batch or nothing. Forgets the record and notes that its objects are to go.
-- What frees memory comes first: a full Redis refuses a script whose first write takes some.
local id, now, tenant, batch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job = load(id)
if job then forget(id, job, now) end
forget_key(id)
redis.call('ZADD', P .. 'cleanups', now, table.concat({ 'everything', tenant, id, job and job.batch or batch }, '|'))
wake(id)
return 1
