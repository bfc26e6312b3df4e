-- ARGV: id, now, run, status, attempts, started, finished, error, whether the upload is to go, whether it is
-- to be announced, when it expires.
-- The caller holds the outcome object of this run, which was written once: whoever brings it is right.
local id, now, run, status = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local job = load(id)
if not job then return 'absent' end
if tonumber(job.run) > run then return 'superseded' end
if tonumber(job.run) == run and not STILL_OPEN[job.status] then return 'already' end
move(id, job, status, now)
redis.call('HSET', job_key(id), 'run', run, 'attempts', ARGV[5], 'finished_ms', ARGV[7], 'error', ARGV[8])
if ARGV[6] ~= '' then redis.call('HSET', job_key(id), 'started_ms', ARGV[6]) end
redis.call('HSET', job_key(id), 'expires_ms', ARGV[11])
redis.call('ZADD', P .. 'expiry', ARGV[11], id)
if ARGV[9] == '1' then
  redis.call('ZADD', P .. 'cleanups', now, table.concat({ 'upload', job.tenant, id, job.batch or '' }, '|'))
end
if ARGV[10] == '1' then announce(id, job.tenant, now) end
tally_end(job.queue, status, ARGV[8])
if status == 'succeeded' and ARGV[7] ~= '' then
  local last = redis.call('HGET', P .. 'measured', job.queue)
  if tonumber(last or 0) < tonumber(ARGV[7]) then redis.call('HSET', P .. 'measured', job.queue, ARGV[7]) end
end
wake(id)
if has_batch(job) then
  note_end(job, ARGV[7])
  if complete_if_over(job.batch, now) then return 'last' end
end
return 'settled'
