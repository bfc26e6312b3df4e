-- ARGV: now, lease until, token, fetches at once from a receiver for a tenant, for a tenant, from a receiver for anybody.
-- Returns the id and the record as it was claimed; nothing when nothing may be fetched.
local now, lease_until, token = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local per_receiver, per_tenant, per_receiver_all = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local LANES_AT_ONCE, TENANTS_AT_MOST, ITEMS_AT_ONCE, MEMORY_MS = 100, 1000, 100, 10000

local function given(id) return { id, unpack(redis.call('HGETALL', job_key(id))) } end

-- The same call again: its answer was lost on the way.
local before = redis.call('GET', F .. 'claimed:' .. token)
if before then return given(before) end

-- Whose fetcher did not come back is due again at once.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', F .. 'leases', '-inf', now, 'LIMIT', 0, ITEMS_AT_ONCE)) do
  local job = load(id)
  if job then
    land(id, job)
    redis.call('HINCRBY', job_key(id), 'fetch_lost', 1)
    await_fetch(id, job, now)
  else
    redis.call('ZREM', F .. 'leases', id)
  end
end

-- Who becomes ready goes to the end of the round. Lanes and tenants at a limit of their own are few: no more of them than
-- all fetchers together have hands. Tenants that wait for a receiver which others keep busy may be many: they are passed.
local turn = redis.call('GET', F .. 'turn') or '0'
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', F .. 'lanes', '-inf', now, 'LIMIT', 0, LANES_AT_ONCE)) do
  local tenant = string.match(lane, '^[^|]*')
  redis.call('ZREM', F .. 'lanes', lane)
  redis.call('ZADD', F .. 'ready:' .. tenant, 'NX', turn, lane)
  redis.call('ZADD', F .. 'turns', 'NX', turn, tenant)
end

-- Returns the first photo of a lane that may be fetched; else nil, and whether there may be one behind those left out.
local function first_due(lane)
  for _ = 1, ITEMS_AT_ONCE do
    local head = redis.call('ZRANGE', F .. 'queue:' .. lane, 0, 0, 'WITHSCORES')
    if #head == 0 then return nil, nil, false end
    if tonumber(head[2]) > now then
      redis.call('ZADD', F .. 'lanes', 'LT', head[2], lane)
      return nil, nil, false
    end
    local job = load(head[1])
    local is_cancelled = job and job.batch and redis.call('HEXISTS', batch_key(job.batch), 'cancelled_ms') == 1
    if job and not is_cancelled then return head[1], job, true end
    -- Nobody takes a cancellation back; its items are ended by the upkeep.
    redis.call('ZREM', F .. 'queue:' .. lane, head[1])
  end
  return nil, nil, true
end

local function take(id, job, lane)
  local next_turn = redis.call('INCR', F .. 'turn')
  redis.call('ZADD', F .. 'ready:' .. job.tenant, next_turn, lane)
  redis.call('ZADD', F .. 'turns', next_turn, job.tenant)
  redis.call('ZREM', F .. 'queue:' .. lane, id)
  redis.call('HSET', job_key(id), 'fetch_token', token)
  lease(id, job, lease_until)
  redis.call('SET', F .. 'claimed:' .. token, id, 'PX', MEMORY_MS)
  return given(id)
end

local function in_flight(whose)
  redis.call('ZREMRANGEBYSCORE', F .. 'flight:' .. whose, '-inf', now)
  return redis.call('ZCARD', F .. 'flight:' .. whose)
end

-- Looked at once for each receiver, since nothing is taken before this ends.
local busy = {}
local function is_busy(lane)
  local receiver = string.match(lane, '|[^|]*')
  if busy[receiver] == nil then busy[receiver] = in_flight(receiver) >= per_receiver_all end
  return busy[receiver]
end

for _, tenant in ipairs(redis.call('ZRANGE', F .. 'turns', 0, TENANTS_AT_MOST)) do
  local ready, free = redis.call('ZRANGE', F .. 'ready:' .. tenant, 0, LANES_AT_ONCE), {}
  for _, lane in ipairs(ready) do
    if not is_busy(lane) then free[#free + 1] = lane end
  end
  if #free > 0 and in_flight(tenant) < per_tenant then
    for _, lane in ipairs(free) do
      if in_flight(string.match(lane, '^[^|]*|[^|]*')) < per_receiver then
        local id, job, maybe_more = first_due(lane)
        if id then return take(id, job, lane) end
        if not maybe_more then redis.call('ZREM', F .. 'ready:' .. tenant, lane) end
      end
    end
  end
  if #ready == 0 or redis.call('EXISTS', F .. 'ready:' .. tenant) == 0 then redis.call('ZREM', F .. 'turns', tenant) end
end
return {}
