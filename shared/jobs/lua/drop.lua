-- ARGV: id, now, tenant. Forgets the record and notes that its objects are to go.
local id, now, tenant = ARGV[1], ARGV[2], ARGV[3]
redis.call('ZADD', P .. 'cleanups', now, 'everything|' .. tenant .. '|' .. id)
local job = load(id)
if job then
  dequeue(id, job.queue)
  for _, key in ipairs(list_indexes(job.tenant, job.status, job.reference_hash)) do redis.call('ZREM', key, id) end
  redis.call('ZREM', P .. 'leases', id)
  redis.call('ZREM', P .. 'expiry', id)
  redis.call('DEL', job_key(id))
end
wake(id)
return 1
