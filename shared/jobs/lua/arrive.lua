-- ARGV: id, now, doorbell due. Returns 1 if the job awaited its photo and is queued now.
local id, now, due = ARGV[1], ARGV[2], ARGV[3]
local job = load(id)
if not job or job.status ~= 'awaiting_upload' then return 0 end
move(id, job, 'queued', now)
line_up(id, job, now, due)
return 1
