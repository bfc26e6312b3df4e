-- ARGV: id, now, doorbell due, then the record's fields and values. Returns 1 if the record was written.
local id, now, due = ARGV[1], ARGV[2], ARGV[3]
if redis.call('EXISTS', job_key(id)) == 1 then return 0 end
redis.call('HSET', job_key(id), unpack(ARGV, 4))
local job = load(id)
for _, key in ipairs(list_indexes(job.tenant, job.status, job.reference_hash)) do redis.call('ZADD', key, 0, id) end
redis.call('ZADD', P .. 'expiry', job.expires_ms, id)
if job.status == 'queued' then enqueue(id, job.queue, now, due) else wake(id) end
return 1
