-- ARGV: id, now, tenant. Forgets the record and notes that its objects are to go.
-- What frees memory comes first: a full Redis refuses a script whose first write takes some.
local id, now, tenant = ARGV[1], ARGV[2], ARGV[3]
local job = load(id)
if job then
  dequeue(id, job.queue)
  for _, key in ipairs(list_indexes(job.tenant, job.status, job.reference_hash)) do redis.call('ZREM', key, id) end
  redis.call('ZREM', P .. 'leases', id)
  redis.call('ZREM', P .. 'expiry', id)
  redis.call('DEL', job_key(id))
end
redis.call('ZADD', P .. 'cleanups', now, 'everything|' .. tenant .. '|' .. id)
wake(id)
return 1
