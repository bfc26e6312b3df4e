-- ARGV: id, now, doorbell due, batch or nothing, whether its end is to be announced, then the record's fields and values. Returns 1 if it was written.
local id, now, due, batch = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
if redis.call('EXISTS', job_key(id)) == 1 then return 0 end
if batch ~= '' and redis.call('EXISTS', batch_key(batch)) == 0 then return 0 end
redis.call('HSET', job_key(id), unpack(ARGV, 6))
local job = load(id)
for _, key in ipairs(list_indexes(job.tenant, job.status, job.reference_hash)) do redis.call('ZADD', key, 0, id) end
redis.call('ZADD', P .. 'expiry', job.expires_ms, id)
if batch ~= '' then
  redis.call('ZADD', P .. 'batch_items:' .. batch, job.item_index, id)
  redis.call('SREM', P .. 'batch_gone:' .. batch, id)
  count(job, job.status, 1)
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
