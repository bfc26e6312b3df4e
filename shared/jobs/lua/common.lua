-- Put in front of every script. Keys, by what they hold:
--   job:<id>                    the record, its claim token and lease
--   queued:<queue>              ids that wait, by when they began to
--   doorbells:<queue>           the same ids, by when their doorbell is due
--   leases                      ids that run, by when to look at their lease again
--   expiry                      all ids, by when they expire
--   cleanups                    debts to storage, by when they were made
--   jobs:<tenant>[...]          ids in order of time, for lists: all, by status, by reference
local P = 'facefit:'
local STILL_OPEN = { queued = true, running = true }

local function job_key(id) return P .. 'job:' .. id end

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

local function enqueue(id, queue, now, due)
  redis.call('ZADD', P .. 'queued:' .. queue, now, id)
  redis.call('ZADD', P .. 'doorbells:' .. queue, due, id)
end

local function dequeue(id, queue)
  redis.call('ZREM', P .. 'queued:' .. queue, id)
  redis.call('ZREM', P .. 'doorbells:' .. queue, id)
end

-- The one place where a record changes its status.
local function move(id, job, status)
  redis.call('ZREM', status_index(job.tenant, job.status), id)
  redis.call('ZADD', status_index(job.tenant, status), 0, id)
  redis.call('HSET', job_key(id), 'status', status)
  if job.status == 'queued' then dequeue(id, job.queue) end
  if job.status == 'running' then
    redis.call('ZREM', P .. 'leases', id)
    redis.call('HDEL', job_key(id), 'token', 'lease_until_ms')
  end
end

local function wake(id) redis.call('PUBLISH', P .. 'finished', id) end
