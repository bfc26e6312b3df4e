-- ARGV: tenant, token, now, held until, batch or nothing; photos, jobs, bytes, batches asked for; the limits of these, 0 for
-- none; span and step of photos, of bytes. Returns the place of the limit that would be exceeded or 0, how long until as much
-- is free, and what counts: photos, how long until fewer do, jobs, bytes, how long until fewer do, batches.
local tenant, token, now, batch = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[5]
local asked, limits = {}, {}
for i = 1, 4 do asked[i], limits[i] = tonumber(ARGV[5 + i]), tonumber(ARGV[9 + i]) end
local PHOTOS, JOBS, BYTES, BATCHES = 1, 2, 3, 4
local windows = {
  [PHOTOS] = { key = A .. 'photos:' .. tenant, span = tonumber(ARGV[14]), step = tonumber(ARGV[15]) },
  [BYTES] = { key = A .. 'bytes:' .. tenant, span = tonumber(ARGV[16]), step = tonumber(ARGV[17]) },
}
local held = A .. 'held:' .. tenant

-- What counts of a window: all of it, and the steps, the first to end first.
local function counted(window)
  local flat, sum, steps = redis.call('HGETALL', window.key), 0, {}
  for i = 1, #flat, 2 do
    local ends, amount = (tonumber(flat[i]) + 1) * window.step + window.span, tonumber(flat[i + 1])
    if ends <= now or amount <= 0 then
      redis.call('HDEL', window.key, flat[i])
    else
      sum = sum + amount
      steps[#steps + 1] = { ends = ends, amount = amount }
    end
  end
  table.sort(steps, function(one, other) return one.ends < other.ends end)
  return sum, steps
end

-- What requests in hand will open and have not yet.
local function places()
  local flat, jobs, batches = redis.call('HGETALL', held), 0, 0
  for i = 1, #flat, 2 do
    local entry = held_entry(flat[i + 1])
    if entry.until_ms <= now then
      redis.call('HDEL', held, flat[i])
    elseif entry.batch == '' then
      jobs, batches = jobs + entry.jobs, batches + entry.batches
    else
      jobs = jobs + math.max(0, entry.jobs - redis.call('ZCARD', P .. 'batch_items:' .. entry.batch))
      if redis.call('EXISTS', batch_key(entry.batch)) == 0 then batches = batches + entry.batches end
    end
  end
  return jobs, batches
end

local before = redis.call('HGET', held, token)
if before then
  local entry = held_entry(before)
  count_in_step(windows[PHOTOS].key, entry.photos_step, -entry.photos)
  count_in_step(windows[BYTES].key, entry.bytes_step, -entry.bytes)
  redis.call('HDEL', held, token)
end

local used, steps = {}, {}
for kind, window in pairs(windows) do used[kind], steps[kind] = counted(window) end
used[JOBS], used[BATCHES] = places()
for status in pairs(STILL_OPEN) do used[JOBS] = used[JOBS] + redis.call('ZCARD', status_index(tenant, status)) end
used[BATCHES] = used[BATCHES] + redis.call('SCARD', P .. 'open_batches:' .. tenant)

local function free_in(kind)
  local window, left = windows[kind], used[kind]
  if not window then return 0 end
  if asked[kind] <= limits[kind] then
    for _, step in ipairs(steps[kind]) do
      left = left - step.amount
      if left + asked[kind] <= limits[kind] then return step.ends - now end
    end
  end
  return window.span
end

local refused, retry = 0, 0
for kind = 1, 4 do
  if asked[kind] > 0 and limits[kind] > 0 and used[kind] + asked[kind] > limits[kind] then
    if refused == 0 then refused = kind end
    retry = math.max(retry, free_in(kind))
  end
end

local function take()
  local at = {}
  for kind, window in pairs(windows) do
    at[kind] = math.floor(now / window.step)
    if asked[kind] > 0 then
      redis.call('HINCRBY', window.key, whole(at[kind]), whole(asked[kind]))
      redis.call('PEXPIRE', window.key, whole(window.span + window.step))
      local ends = (at[kind] + 1) * window.step + window.span
      steps[kind][#steps[kind] + 1] = { ends = ends, amount = asked[kind] }
    end
  end
  redis.call('HSET', held, token, table.concat({ ARGV[4], whole(asked[JOBS]), whole(asked[BATCHES]), batch,
    whole(asked[PHOTOS]), whole(at[PHOTOS]), whole(asked[BYTES]), whole(at[BYTES]) }, '|'))
  redis.call('PEXPIRE', held, HELD_FOR_MS)
  for kind = 1, 4 do used[kind] = used[kind] + asked[kind] end
end
if refused == 0 and asked[PHOTOS] + asked[JOBS] + asked[BYTES] + asked[BATCHES] > 0 then take() end

local function until_fewer(kind) return steps[kind][1] and math.max(1, steps[kind][1].ends - now) or 0 end

return { refused, retry, used[PHOTOS], until_fewer(PHOTOS), used[JOBS], used[BYTES], until_fewer(BYTES), used[BATCHES] }
