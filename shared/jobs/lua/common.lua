-- Put in front of every script. Keys, by what they hold:
--   job:<id>                    the record, its claim token and lease
--   queued:<queue>              ids that wait, by when they began to
--   doorbells:<queue>           the same ids, by when their doorbell is due
--   turns:<queue>:<tenant>      of a queue that takes turns: ids that wait, in order of time
--   rotation:<queue>            the tenants that have such, in order of their turns
--   doorbells:<queue>           there: ids that were handed out or put off, by when they line up again
--   leases                      ids that run, by when to look at their lease again
--   expiry, batch_expiry        all ids of jobs, of batches, by when they expire
--   cleanups                    debts to storage, by when they were made
--   announcements               what ended and is to be told to a receiver, by when it did
--   jobs:<tenant>[...]          ids in order of time, for lists: all, by status, by reference
--   batch:<id>                  the record of a batch and its counts
--   batch_items:<id>            its items that have a record, by their place
--   batch_gone:<id>             its items that were deleted one by one
--   batches:<tenant>            ids of batches in order of time, for lists
--   open_batches                ids of batches that are not complete, by when to look at them again
--   open_batches:<tenant>       the same ids
--   idempotency:<tenant>:<hash> who holds a key, or what it was used for
--   idempotency_of:<id>         the key that a job or batch was made under
-- Of admissions; a step is a span of time, by its number:
--   admission:photos:<tenant>   photos of their own that were accepted, by step
--   admission:bytes:<tenant>    bytes that were accepted, by step
--   admission:held:<tenant>     what requests in hand took and have no records of yet, by token
--   counts                      what happened how often, by series; see shared/metrics.py
--   open                        how many jobs have not ended, by queue and status
--   measured                    when the last job of a queue ended with a result
--   canary:<queue>              what became of the last canaries
--   held:<process>              what a process holds now, for a while
--   holders                     such processes, by when that is out of date
--   sent:<token>                says for a while that these amounts were added
-- Of photos at URLs; a source is "<tenant>|<host:port>", a lane the same for those of batches, with "|single" behind it
-- for photos of their own, which need not wait for batches from there:
--   fetch:queue:<lane>          ids that are due, now or later, by when
--   fetch:lanes                 lanes, by when their first photo is due
--   fetch:ready:<tenant>        lanes with something due, by whose turn it is
--   fetch:turns, fetch:turn     tenants with such lanes, by whose turn it is; the number of the last turn
--   fetch:flight:<source>, fetch:flight:<tenant>, fetch:flight:|<host:port>   ids that are being fetched, by the end of
--                               their lease: from a receiver for a tenant, for a tenant, from a receiver for anybody
--   fetch:leases                the same of all
local P = 'facefit:'
local F = P .. 'fetch:'
local A = P .. 'admission:'
local STILL_OPEN = { awaiting_upload = true, queued = true, running = true }
local TAKES_TURNS = { bulk = true }
local RATE_WINDOW_MS = 15000
local HELD_FOR_MS = 86400000

local function job_key(id) return P .. 'job:' .. id end

local function batch_key(id) return P .. 'batch:' .. id end

local function status_index(tenant, status) return P .. 'jobs:' .. tenant .. ':status:' .. status end

local function list_indexes(tenant, status, reference)
  local keys = { P .. 'jobs:' .. tenant, status_index(tenant, status) }
  if reference ~= '' then keys[3] = P .. 'jobs:' .. tenant .. ':reference:' .. reference end
  return keys
end

local function load(id)
  local flat = redis.call('HGETALL', job_key(id))
  if #flat == 0 then return nil end
  local job = {}
  for i = 1, #flat, 2 do job[flat[i]] = flat[i + 1] end
  return job
end

local function wake(id) redis.call('PUBLISH', P .. 'finished', id) end

local function announce(id, tenant, now) redis.call('ZADD', P .. 'announcements', now, tenant .. '|' .. id) end

-- Metrics: the names are those of shared/metrics.py, with the values of their labels behind them

local function tally(...) redis.call('HINCRBY', P .. 'counts', table.concat({ ... }, '|'), 1) end

local function count_open(job, status, by)
  if STILL_OPEN[status] then redis.call('HINCRBY', P .. 'open', job.queue .. '|' .. status, by) end
end

local function tally_end(queue, status, error)
  local code = error and error ~= '' and cjson.decode(error).code or ''
  tally('facefit_jobs_terminal_total', queue, status, code)
end

-- Queues

local function enter_turns(id, queue, tenant)
  local turns = P .. 'turns:' .. queue .. ':' .. tenant
  if redis.call('ZADD', turns, 0, id) == 1 and redis.call('ZCARD', turns) == 1 then
    redis.call('RPUSH', P .. 'rotation:' .. queue, tenant)
  end
end

local function leave_turns(id, queue, tenant)
  local turns = P .. 'turns:' .. queue .. ':' .. tenant
  if redis.call('ZREM', turns, id) == 1 and redis.call('EXISTS', turns) == 0 then
    redis.call('LREM', P .. 'rotation:' .. queue, 0, tenant)
  end
end

-- A job waits from now on.
local function line_up(id, job, now, due)
  if TAKES_TURNS[job.queue] then
    redis.call('HSET', job_key(id), 'queued_ms', now)
    return enter_turns(id, job.queue, job.tenant)
  end
  redis.call('ZADD', P .. 'queued:' .. job.queue, now, id)
  redis.call('ZADD', P .. 'doorbells:' .. job.queue, due, id)
end

-- A job waits, and nobody is to come for it before its time.
local function put_off(id, job, now, due)
  if TAKES_TURNS[job.queue] then
    redis.call('HSET', job_key(id), 'queued_ms', now)
  else
    redis.call('ZADD', P .. 'queued:' .. job.queue, now, id)
  end
  redis.call('ZADD', P .. 'doorbells:' .. job.queue, due, id)
end

local function dequeue(id, job)
  if TAKES_TURNS[job.queue] then
    leave_turns(id, job.queue, job.tenant)
  else
    redis.call('ZREM', P .. 'queued:' .. job.queue, id)
  end
  redis.call('ZREM', P .. 'doorbells:' .. job.queue, id)
end

-- Photos at URLs: a record is lined up from the step that writes it awaiting its photo to the one that ends that.

local function source_of(job) return job.tenant .. '|' .. job.fetch_receiver end

local function lane_of(job) return source_of(job) .. (TAKES_TURNS[job.queue] and '' or '|single') end

local function await_fetch(id, job, due)
  redis.call('ZADD', F .. 'queue:' .. lane_of(job), due, id)
  redis.call('ZADD', F .. 'lanes', 'LT', due, lane_of(job))
end

local function flights(job)
  return { 'leases', 'flight:' .. source_of(job), 'flight:' .. job.tenant, 'flight:|' .. job.fetch_receiver }
end

local function lease(id, job, lease_until)
  for _, whose in ipairs(flights(job)) do redis.call('ZADD', F .. whose, lease_until, id) end
end

-- Takes away the right that a claim gave.
local function land(id, job)
  redis.call('HDEL', job_key(id), 'fetch_token')
  for _, whose in ipairs(flights(job)) do redis.call('ZREM', F .. whose, id) end
end

local function end_fetch(id, job)
  if not job.fetch_receiver then return end
  land(id, job)
  redis.call('ZREM', F .. 'queue:' .. lane_of(job), id)
  redis.call('HDEL', job_key(id), 'fetch_receiver', 'fetch_line', 'fetch_step', 'fetch_lost')
end

-- Batches

local function has_batch(job) return job.batch and redis.call('EXISTS', batch_key(job.batch)) == 1 end

local function count(job, status, by) redis.call('HINCRBY', batch_key(job.batch), 'n_' .. status, by) end

-- When the last item ended says when the batch was complete, also after its records were made anew.
local function note_end(job, finished_ms)
  local last = redis.call('HGET', batch_key(job.batch), 'last_finished_ms')
  if finished_ms and finished_ms ~= '' and tonumber(last or 0) < tonumber(finished_ms) then
    redis.call('HSET', batch_key(job.batch), 'last_finished_ms', finished_ms)
  end
end

local function count_end_in_window(job, now)
  local key, window = batch_key(job.batch), math.floor(tonumber(now) / RATE_WINDOW_MS)
  local last = tonumber(redis.call('HGET', key, 'window') or 0)
  if window ~= last then
    local before = window == last + 1 and redis.call('HGET', key, 'ended_here') or 0
    redis.call('HSET', key, 'window', window, 'ended_here', 0, 'ended_before', before)
  end
  redis.call('HINCRBY', key, 'ended_here', 1)
end

-- A complete batch has an open item again: another run of it.
local function open_batch(id, now)
  if redis.call('HDEL', batch_key(id), 'completed_ms') == 1 then
    redis.call('HINCRBY', batch_key(id), 'run', 1)
    redis.call('ZADD', P .. 'open_batches', now, id)
    redis.call('SADD', P .. 'open_batches:' .. redis.call('HGET', batch_key(id), 'tenant'), id)
  end
end

-- The one place where a batch becomes complete. Called last by whatever may have ended its last open item, in the same
-- script: what must happen once for each completion belongs here. Returns whether it is to be announced.
local function complete_if_over(id, now)
  local batch = redis.call('HMGET', batch_key(id), 'sealed', 'completed_ms', 'n_awaiting_upload', 'n_queued', 'n_running',
    'last_finished_ms', 'announces', 'tenant')
  if batch[1] ~= '1' or batch[2] then return false end
  if tonumber(batch[3] or 0) + tonumber(batch[4] or 0) + tonumber(batch[5] or 0) > 0 then return false end
  redis.call('ZREM', P .. 'open_batches', id)
  redis.call('SREM', P .. 'open_batches:' .. batch[8], id)
  redis.call('HSET', batch_key(id), 'completed_ms', batch[6] or now)
  redis.call('HINCRBY', batch_key(id), 'completions', 1)
  wake(id)
  if batch[7] == '1' then announce(id, batch[8], now) end
  return batch[7] == '1'
end

-- Idempotency keys

local function idempotency_key(name) return P .. 'idempotency:' .. name end

-- Redis forgets keys by its own clock; whether one still counts is told by the callers'.
local function held_key(name, now)
  local held = redis.call('HMGET', idempotency_key(name), 'token', 'until_ms', 'id', 'fingerprint')
  if not held[1] or tonumber(held[2]) <= tonumber(now) then return nil end
  return { token = held[1], id = held[3], fingerprint = held[4] }
end

local function forget_key(id)
  local name = redis.call('GET', P .. 'idempotency_of:' .. id)
  if not name then return end
  redis.call('DEL', P .. 'idempotency_of:' .. id)
  if redis.call('HGET', idempotency_key(name), 'id') == id then redis.call('DEL', idempotency_key(name)) end
end

local function note_key(name, now, token, until_ms, id, fingerprint)
  local key, left_ms = idempotency_key(name), until_ms - now
  local before = redis.call('HGET', key, 'id')
  if before then forget_key(before) end
  redis.call('DEL', key)
  if left_ms <= 0 then return end
  redis.call('HSET', key, 'token', token, 'until_ms', until_ms, 'id', id, 'fingerprint', fingerprint)
  redis.call('PEXPIRE', key, left_ms)
  redis.call('SET', P .. 'idempotency_of:' .. id, name, 'PX', left_ms)
end

-- Admissions

-- A number as Redis takes it: Lua would write large ones with an exponent.
local function whole(number) return string.format('%.0f', number) end

local function held_entry(text)
  local until_ms, jobs, batches, batch, photos, photos_step, bytes, bytes_step =
    string.match(text, '^(%d+)|(%d+)|(%d+)|([^|]*)|(%d+)|(%d+)|(%d+)|(%d+)$')
  return { until_ms = tonumber(until_ms), jobs = tonumber(jobs), batches = tonumber(batches), batch = batch,
    photos = tonumber(photos), photos_step = photos_step, bytes = tonumber(bytes), bytes_step = bytes_step }
end

-- What was taken in a step is corrected there, if the step still counts.
local function count_in_step(key, step, by)
  if by ~= 0 and redis.call('HEXISTS', key, step) == 1 then redis.call('HINCRBY', key, step, whole(by)) end
end

-- The one place where a record changes its status.
local function move(id, job, status, now)
  redis.call('ZREM', status_index(job.tenant, job.status), id)
  redis.call('ZADD', status_index(job.tenant, status), 0, id)
  redis.call('HSET', job_key(id), 'status', status)
  if job.status == 'queued' or TAKES_TURNS[job.queue] then dequeue(id, job) end
  if job.status == 'running' then
    redis.call('ZREM', P .. 'leases', id)
    redis.call('HDEL', job_key(id), 'token', 'lease_until_ms')
  end
  end_fetch(id, job)
  count_open(job, job.status, -1)
  count_open(job, status, 1)
  if has_batch(job) then
    count(job, job.status, -1)
    count(job, status, 1)
    if not STILL_OPEN[status] then
      count_end_in_window(job, now)
    elseif not STILL_OPEN[job.status] then
      open_batch(job.batch, now)
    end
  end
end

-- The one place where a record is forgotten.
local function forget(id, job, now)
  dequeue(id, job)
  end_fetch(id, job)
  for _, key in ipairs(list_indexes(job.tenant, job.status, job.reference_hash)) do redis.call('ZREM', key, id) end
  redis.call('ZREM', P .. 'leases', id)
  redis.call('ZREM', P .. 'expiry', id)
  redis.call('DEL', job_key(id))
  count_open(job, job.status, -1)
  if STILL_OPEN[job.status] then tally('facefit_jobs_dropped_open_total', job.queue) end
  if not job.batch then return end
  redis.call('ZREM', P .. 'batch_items:' .. job.batch, id)
  if has_batch(job) then
    count(job, job.status, -1)
    redis.call('SADD', P .. 'batch_gone:' .. job.batch, id)
    complete_if_over(job.batch, now)
  end
end
