-- ARGV: id, now. Lines a job up again whose lease ran out, unless it was handed out just now.
local id, now = ARGV[1], tonumber(ARGV[2])
local job = load(id)
if not job or job.status ~= 'running' or tonumber(job.lease_until_ms) > now then return 0 end
if redis.call('ZSCORE', P .. 'doorbells:' .. job.queue, id) then return 0 end
enter_turns(id, job.queue, job.tenant)
return 1
