-- ARGV: id, token, when it is due, how many attempts failed. Returns 1 if the claim was valid and is taken back.
local id, token, due, step = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local job = load(id)
if not job or job.fetch_token ~= token then return 0 end
land(id, job)
redis.call('HSET', job_key(id), 'fetch_step', step)
await_fetch(id, job, due)
return 1
