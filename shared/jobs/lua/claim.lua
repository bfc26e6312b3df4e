-- ARGV: id, now, lease until, token, attempts at most. Returns why not, or the record as it was claimed.
local id, now, lease_until, token = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4]
local job = load(id)
if not job then return 'absent' end
-- The same call again: its answer was lost on the way.
if job.status == 'running' and job.token == token then return redis.call('HGETALL', job_key(id)) end
local lease_ran_out = job.status == 'running' and tonumber(job.lease_until_ms) <= now
if job.status ~= 'queued' and not lease_ran_out then return 'busy' end
if job.batch and redis.call('HEXISTS', batch_key(job.batch), 'cancelled_ms') == 1 then return 'busy' end
if tonumber(job.attempts) >= tonumber(ARGV[5]) then return 'exhausted' end
move(id, job, 'running', now)
local attempts = redis.call('HINCRBY', job_key(id), 'attempts', 1)
tally('facefit_attempts_total', job.queue, attempts == 1 and 'first' or 'again')
if lease_ran_out then tally('facefit_leases_lost_total', job.queue) end
redis.call('HSET', job_key(id), 'token', token, 'lease_until_ms', lease_until)
redis.call('HSETNX', job_key(id), 'started_ms', now)
redis.call('ZADD', P .. 'leases', lease_until, id)
return redis.call('HGETALL', job_key(id))
