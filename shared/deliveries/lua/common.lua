-- Put in front of every script. Keys, by what they hold; a lane is "<tenant>|<host:port>":
--   delivery:<id>                 the record, its claim token and lease
--   deliveries:queue:<lane>       ids that are due, now or later, by when
--   deliveries:due                the same ids of all lanes, by when
--   deliveries:lanes              lanes, by when their first delivery is due
--   deliveries:ready:<tenant>     lanes with something due, by whose turn it is
--   deliveries:turns              tenants with such lanes, by whose turn it is
--   deliveries:turn               the number of the last turn
--   deliveries:flight:<lane>, deliveries:flight:<tenant>, deliveries:flight:|<host:port>   ids that are being sent, by the
--                                 end of their lease: to a receiver for a tenant, for a tenant, to a receiver for anybody
--   deliveries:leases             the same of all
--   deliveries:disabled:<tenant>  targets that answered 410: until when, and the rest as JSON
--   deliveries:held:<tenant>|<target>   ids that wait for a disabled target
--   deliveries:holds              "<tenant>|<target>", by when to look whether it is enabled
--   deliveries:unarchived         ids whose last change is not in storage, by when they changed
--   deliveries:expiry             all ids, by when they expire
--   deliveries:of:<tenant>[...]   ids in order, for lists: all, by status; deliveries:about:<tenant>:<job or batch>
local P = 'facefit:deliveries:'

local function key(id) return 'facefit:delivery:' .. id end

local function lane_of(d) return d.tenant .. '|' .. d.receiver end

local function flights(d) return { 'flight:' .. lane_of(d), 'flight:' .. d.tenant, 'flight:|' .. d.receiver } end

local function target_of(d) return d.tenant .. '|' .. d.target end

local function status_index(d, status) return P .. 'of:' .. d.tenant .. ':' .. status end

local function indexes(d)
  local keys = { P .. 'of:' .. d.tenant, status_index(d, d.status) }
  if d.job_id ~= '' then keys[#keys + 1] = P .. 'about:' .. d.tenant .. ':' .. d.job_id end
  if d.batch_id ~= '' then keys[#keys + 1] = P .. 'about:' .. d.tenant .. ':' .. d.batch_id end
  return keys
end

local function load(id)
  local flat = redis.call('HGETALL', key(id))
  if #flat == 0 then return nil end
  local d = {}
  for i = 1, #flat, 2 do d[flat[i]] = flat[i + 1] end
  return d
end

local function enqueue(id, d, due)
  redis.call('HSET', key(id), 'next_ms', due)
  redis.call('ZADD', P .. 'queue:' .. lane_of(d), due, id)
  redis.call('ZADD', P .. 'due', due, id)
  redis.call('ZADD', P .. 'lanes', 'LT', due, lane_of(d))
end

local function dequeue(id, d)
  redis.call('HDEL', key(id), 'next_ms')
  redis.call('ZREM', P .. 'queue:' .. lane_of(d), id)
  redis.call('ZREM', P .. 'due', id)
  redis.call('ZREM', P .. 'held:' .. target_of(d), id)
end

-- The name is that of shared/metrics.py, with the value of its label behind it.
local function tally_end(status) redis.call('HINCRBY', 'facefit:counts', 'facefit_deliveries_ended_total|' .. status, 1) end

-- Takes away the right that a claim gave.
local function land(id, d)
  redis.call('HDEL', key(id), 'token', 'claimed_ms', 'lease_until_ms')
  redis.call('ZREM', P .. 'leases', id)
  for _, whose in ipairs(flights(d)) do redis.call('ZREM', P .. whose, id) end
end

-- The one place where a record changes its status.
local function move(id, d, status)
  redis.call('ZREM', status_index(d, d.status), id)
  redis.call('ZADD', status_index(d, status), 0, id)
  redis.call('HSET', key(id), 'status', status)
end

local function disabled_until(d)
  local found = redis.call('HGET', P .. 'disabled:' .. d.tenant, d.target)
  return found and tonumber(string.match(found, '^%d+')) or 0
end
