-- ARGV: now, lease until, token, attempts at once to a receiver for a tenant, for a tenant, to a receiver for anybody.
-- Returns the version of the secrets, the id, and the record as it was claimed; nothing when nothing may be sent.
local now, lease_until, token = tonumber(ARGV[1]), ARGV[2], ARGV[3]
local per_receiver, per_tenant, per_receiver_all = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local LANES_AT_ONCE, TENANTS_AT_MOST, HELD_AT_ONCE, MEMORY_MS = 100, 1000, 100, 10000

local function given(id)
  local d = load(id)
  local version = d and redis.call('GET', P .. 'secrets_version:' .. d.tenant)
  return { version or '', id, unpack(redis.call('HGETALL', key(id))) }
end

-- The same call again: its answer was lost on the way.
local before = redis.call('GET', P .. 'claimed:' .. token)
if before then return given(before) end

-- Who becomes ready goes to the end of the round. Lanes and tenants at a limit of their own are few: no more of them than
-- all senders together have hands. Tenants that wait for a receiver which others keep busy may be many: they are passed.
local turn = redis.call('GET', P .. 'turn') or '0'
for _, lane in ipairs(redis.call('ZRANGEBYSCORE', P .. 'lanes', '-inf', now, 'LIMIT', 0, LANES_AT_ONCE)) do
  local tenant = string.match(lane, '^[^|]*')
  redis.call('ZREM', P .. 'lanes', lane)
  redis.call('ZADD', P .. 'ready:' .. tenant, 'NX', turn, lane)
  redis.call('ZADD', P .. 'turns', 'NX', turn, tenant)
end

local function in_flight(whose)
  redis.call('ZREMRANGEBYSCORE', P .. 'flight:' .. whose, '-inf', now)
  return redis.call('ZCARD', P .. 'flight:' .. whose)
end

local function hold(id, d, until_ms)
  dequeue(id, d)
  redis.call('HSET', key(id), 'next_ms', until_ms)
  redis.call('ZADD', P .. 'held:' .. target_of(d), 0, id)
  redis.call('ZADD', P .. 'holds', 'NX', until_ms, target_of(d))
end

-- Returns the first delivery of a lane that may be sent; else nil, and whether there may be one behind those held.
local function first_due(lane)
  for _ = 1, HELD_AT_ONCE do
    local head = redis.call('ZRANGE', P .. 'queue:' .. lane, 0, 0, 'WITHSCORES')
    if #head == 0 then return nil, nil, false end
    if tonumber(head[2]) > now then
      redis.call('ZADD', P .. 'lanes', 'LT', head[2], lane)
      return nil, nil, false
    end
    local d = load(head[1])
    if not d then
      redis.call('ZREM', P .. 'queue:' .. lane, head[1])
      redis.call('ZREM', P .. 'due', head[1])
    else
      local until_ms = disabled_until(d)
      if d.forced == '1' or until_ms <= now then return head[1], d, true end
      hold(head[1], d, until_ms)
    end
  end
  return nil, nil, true
end

local function take(id, d, tenant, lane)
  local next_turn = redis.call('INCR', P .. 'turn')
  redis.call('ZADD', P .. 'ready:' .. tenant, next_turn, lane)
  redis.call('ZADD', P .. 'turns', next_turn, tenant)
  redis.call('ZREM', P .. 'queue:' .. lane, id)
  redis.call('ZREM', P .. 'due', id)
  redis.call('HSET', key(id), 'token', token, 'claimed_ms', now, 'lease_until_ms', lease_until)
  redis.call('ZADD', P .. 'leases', lease_until, id)
  for _, whose in ipairs(flights(d)) do redis.call('ZADD', P .. whose, lease_until, id) end
  redis.call('SET', P .. 'claimed:' .. token, id, 'PX', MEMORY_MS)
  return given(id)
end

-- Looked at once for each receiver, since nothing is taken before this ends.
local busy = {}
local function is_busy(lane)
  local receiver = string.match(lane, '|.*$')
  if busy[receiver] == nil then busy[receiver] = in_flight(receiver) >= per_receiver_all end
  return busy[receiver]
end

for _, tenant in ipairs(redis.call('ZRANGE', P .. 'turns', 0, TENANTS_AT_MOST)) do
  local ready, free = redis.call('ZRANGE', P .. 'ready:' .. tenant, 0, LANES_AT_ONCE), {}
  for _, lane in ipairs(ready) do
    if not is_busy(lane) then free[#free + 1] = lane end
  end
  if #free > 0 and in_flight(tenant) < per_tenant then
    for _, lane in ipairs(free) do
      if in_flight(lane) < per_receiver then
        local id, d, maybe_more = first_due(lane)
        if id then return take(id, d, tenant, lane) end
        if not maybe_more then redis.call('ZREM', P .. 'ready:' .. tenant, lane) end
      end
    end
  end
  if #ready == 0 or redis.call('EXISTS', P .. 'ready:' .. tenant) == 0 then redis.call('ZREM', P .. 'turns', tenant) end
end
return {}
