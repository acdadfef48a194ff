-- The breaker of worker/breaker.py, line for line, as one atomic step in Redis. Its docstrings say why.
-- KEYS: a hash. ARGV: what to do, now ('' is the server's clock), arguments.
local SLOT, SLOTS, LEAST, RATE = 3, 10, 20, 0.5
local FIRST_REST, LONGEST_REST, LOOK_AGAIN, KEEP = 5, 60, 1, 3600

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end

local state = {}
local flat = redis.call('HGETALL', KEYS[1])
for i = 1, #flat, 2 do state[flat[i]] = tonumber(flat[i + 1]) end
local open_until, openings, probe_until = state.open_until or 0, state.openings or 0, state.probe_until or 0

local function store(name, value)
  redis.call('HSET', KEYS[1], name, string.format('%.6f', value))
  redis.call('EXPIRE', KEYS[1], KEEP)
end

local function wait()
  if open_until == 0 then return 0 end
  if now < open_until then return open_until - now end
  return probe_until > now and LOOK_AGAIN or 0
end

local function open()
  store('open_until', now + math.min(LONGEST_REST, FIRST_REST * 2 ^ math.min(openings, 10)))
  store('openings', openings + 1)
  store('probe_until', 0)
  return 'opened'
end

local function count(failed)
  local oldest, calls, failures = math.floor(now / SLOT) - SLOTS + 1, 1, failed
  for name, value in pairs(state) do
    local kind, slot = string.match(name, '^(%a)(%d+)$')
    if kind and tonumber(slot) < oldest then
      redis.call('HDEL', KEYS[1], name)
    elseif kind == 'c' then
      calls = calls + value
    elseif kind == 'f' then
      failures = failures + value
    end
  end
  local slot = string.format('%d', math.floor(now / SLOT))
  redis.call('HINCRBY', KEYS[1], 'c' .. slot, 1)
  if failed == 1 then redis.call('HINCRBY', KEYS[1], 'f' .. slot, 1) end
  redis.call('EXPIRE', KEYS[1], KEEP)
  return calls >= LEAST and failures >= RATE * calls
end

local verb = ARGV[1]
if verb == 'ask' then
  local seconds = wait()
  if open_until == 0 or seconds > 0 then return {string.format('%.6f', seconds), 0} end
  store('probe_until', now + tonumber(ARGV[3]))
  return {'0', 1}
elseif verb == 'tell' then
  local failed, probe = tonumber(ARGV[3]), ARGV[4] == '1'
  if probe and failed == 0 then
    redis.call('DEL', KEYS[1])
    return 'closed'
  end
  if probe then return open() end
  if open_until > 0 then return '' end
  return count(failed) and open() or ''
elseif verb == 'release' then
  if open_until > 0 then store('probe_until', 0) end
  return ''
else
  return string.format('%.6f', wait())
end
