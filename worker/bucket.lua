-- The bucket of worker/bucket.py, line for line, as one atomic step in Redis. Its docstrings say why.
-- KEYS: a hash. ARGV: what to do, now ('' is the server's clock), limits that are set (0: learn), arguments.
local SPARE, SHARE, NAP, SOON = 1, 0.25, 10, 0.5
local FIRST, USED, FORGET, KEEP = 120, 59 / 60, 60, 7200
local NAMES = {'requests', 'tokens', 'bulk', 'interactive', 'blocked', 'strikes', 'easy', 'heard_at',
               'requests_limit', 'requests_at', 'tokens_limit', 'tokens_at'}
local KINDS = {'requests', 'tokens'}

local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] + time[2] / 1000000
end
local arguments = {}
for i = 5, #ARGV do arguments[i - 4] = tonumber(ARGV[i]) end

local state = {}
for i, value in ipairs(redis.call('HMGET', KEYS[1], unpack(NAMES))) do
  state[NAMES[i]] = tonumber(value or 0)
end

local function save()
  local pairs = {}
  for _, name in ipairs(NAMES) do
    pairs[#pairs + 1] = name
    pairs[#pairs + 1] = string.format('%.6f', state[name])
  end
  redis.call('HSET', KEYS[1], unpack(pairs))
  redis.call('EXPIRE', KEYS[1], KEEP)
end

local function known(kind)
  local set = tonumber(ARGV[kind == 'requests' and 3 or 4])
  if set > 0 then return set end
  if state[kind .. '_limit'] > 0 and state.heard_at - state[kind .. '_at'] <= FORGET then
    return state[kind .. '_limit']
  end
  return 0
end

local function guesses()
  return state.easy == 0 and known('requests') == 0
end

local function limit(kind)
  return (kind == 'requests' and guesses()) and FIRST or known(kind)
end

local function cost(kind, amount)
  local per_minute = limit(kind)
  return per_minute > 0 and amount * 60 / (per_minute * USED) or 0
end

local function costs(tokens)
  return {requests = cost('requests', 1), tokens = cost('tokens', tokens)}
end

local function take(tokens, bulk, placed)
  local cost_of = costs(tokens)
  local interval = math.max(cost_of.requests, cost_of.tokens)
  local class = bulk == 1 and 'bulk' or 'interactive'
  local start = state.blocked
  for _, kind in ipairs(KINDS) do
    if cost_of[kind] > 0 then start = math.max(start, state[kind] + bulk * SHARE) end
  end
  if interval == 0 or guesses() then placed = 1 end
  if placed == 0 then start = math.max(start, state[class]) end
  local wait = start - now
  if placed == 0 and wait <= NAP and bulk == 0 and state.bulk > now then
    state.bulk = state.bulk + interval
  end
  if wait > 0.001 then
    if placed == 0 and wait <= NAP then state[class] = start + interval end
    return guesses() and math.max(math.min(wait, SOON), state.blocked - now) or wait
  end
  for _, kind in ipairs(KINDS) do
    if cost_of[kind] > 0 then state[kind] = math.max(state[kind], now - SPARE) + cost_of[kind] end
  end
  return 0
end

local function give_back(tokens)
  for kind, amount in pairs(costs(tokens)) do state[kind] = state[kind] - amount end
end

local function learn(kind, need, per_minute, remaining, reset)
  if per_minute > 0 then
    state[kind .. '_limit'], state[kind .. '_at'] = per_minute, now
  end
  if remaining >= 0 and remaining < need then
    local wait = cost(kind, need - remaining)
    if reset >= 0 and (wait == 0 or reset < wait) then wait = reset end
    state[kind] = math.max(state[kind], now + math.min(wait, 60))
  end
end

local function block(seconds, random)
  if seconds < 0 then
    if state.blocked > now then return end
    seconds = random * math.min(60, 2 ^ math.min(state.strikes, 10))
    state.strikes = state.strikes + 1
  end
  state.blocked, state.easy = math.max(state.blocked, now + seconds), 0
  for _, kind in ipairs(KINDS) do state[kind] = math.max(state[kind], state.blocked) end
end

local function settle(tokens, used, r_limit, r_left, r_reset, t_limit, t_left, t_reset, stop, seconds, random)
  if used >= 0 then state.tokens = state.tokens + cost('tokens', used - tokens) end
  state.heard_at = now
  learn('requests', 1, r_limit, r_left, r_reset)
  learn('tokens', tokens, t_limit, t_left, t_reset)
  if stop == 1 then
    block(seconds, random)
  else
    state.easy = 1
    if state.blocked <= now then state.strikes = 0 end
  end
end

local function backlog()
  return math.max(state.blocked, state.bulk) - now
end

local verbs = {take = take, give_back = give_back, settle = settle, backlog = backlog}
local found = verbs[ARGV[1]](unpack(arguments))
if ARGV[1] ~= 'backlog' then save() end
return string.format('%.6f', found or 0)
