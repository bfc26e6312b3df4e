-- ARGV: id, now, doorbell due, batch or nothing, whether its end is to be announced, whether it is made anew from
-- storage, then the record's fields and values. Returns 1 if it was written.
local id, now, due, batch, restored = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[6] == '1'
if redis.call('EXISTS', job_key(id)) == 1 then return 0 end
if batch ~= '' and redis.call('EXISTS', batch_key(batch)) == 0 then return 0 end
redis.call('HSET', job_key(id), unpack(ARGV, 7))
local job = load(id)
for _, key in ipairs(list_indexes(job.tenant, job.status, job.reference_hash)) do redis.call('ZADD', key, 0, id) end
redis.call('ZADD', P .. 'expiry', job.expires_ms, id)
if batch ~= '' then
  redis.call('ZADD', P .. 'batch_items:' .. batch, job.item_index, id)
  redis.call('SREM', P .. 'batch_gone:' .. batch, id)
  count(job, job.status, 1)
end
count_open(job, job.status, 1)
if not restored then
  local source = job.fetch_receiver and 'url' or job.status == 'awaiting_upload' and 'presigned' or 'upload'
  tally('facefit_jobs_accepted_total', job.queue, source)
  if not STILL_OPEN[job.status] then tally_end(job.queue, job.status, job.error) end
elseif STILL_OPEN[job.status] then
  tally('facefit_jobs_restored_open_total', job.queue)
end
if job.status == 'queued' then line_up(id, job, now, due) end
if job.fetch_receiver then await_fetch(id, job, now) end
if not STILL_OPEN[job.status] then
  if ARGV[5] == '1' then announce(id, job.tenant, now) end
  wake(id)
  if batch ~= '' then
    note_end(job, job.finished_ms)
    complete_if_over(batch, now)
  end
end
return 1
