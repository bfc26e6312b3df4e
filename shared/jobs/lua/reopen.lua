-- ARGV: id, now, doorbell due, run. Returns 1 if a failed job is queued again.
local id, now, due, run = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local job = load(id)
if not job or job.status ~= 'failed' or tonumber(job.run) >= run then return 0 end
move(id, job, 'queued', now)
redis.call('HDEL', job_key(id), 'started_ms', 'finished_ms', 'error')
redis.call('HSET', job_key(id), 'run', run, 'attempts', 0)
tally('facefit_jobs_reopened_total', job.queue)
line_up(id, job, now, due)
return 1
