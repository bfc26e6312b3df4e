-- ARGV: id, now, doorbell due, token, whether the attempt counts. Returns 1 if the claim was valid and is taken back.
local id, now, due, token = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job = load(id)
if not job or job.status ~= 'running' or job.token ~= token then return 0 end
move(id, job, 'queued', now)
if ARGV[5] == '0' then redis.call('HINCRBY', job_key(id), 'attempts', -1) end
tally('facefit_attempts_put_off_total', job.queue, ARGV[5] == '0' and 'dependency' or 'fault')
put_off(id, job, now, due)
return 1
