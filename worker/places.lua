-- The places of worker/places.py as one atomic step in Redis: a place that is not left in time is free again.
-- KEYS: a sorted set of tickets by when they run out. ARGV: a ticket, seconds, how many places there are.
-- 1 where the ticket has a place.
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end
redis.call('ZADD', KEYS[1], now + ARGV[2], ARGV[1])
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[2]))
return 1
