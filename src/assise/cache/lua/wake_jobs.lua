-- Make jobs ready that waited long enough, or whose worker has not ended them in time.
-- KEYS: ready, processing, due, later, tries, dead. ARGV: ms that a job may take, tries at most.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[4], id)
  redis.call('LPUSH', KEYS[1], id)
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)) do
  redis.call('ZREM', KEYS[3], id)
  redis.call('LREM', KEYS[2], 0, id)
  if tonumber(redis.call('HGET', KEYS[5], id) or 0) >= tonumber(ARGV[2]) then
    redis.call('HSET', KEYS[6], id, 'its worker did not end it in time')
  else
    redis.call('LPUSH', KEYS[1], id)
  end
end
-- Moved, but never begun: its worker was killed in between.
for _, id in ipairs(redis.call('LRANGE', KEYS[2], -100, -1)) do
  redis.call('ZADD', KEYS[3], 'NX', now + ARGV[1], id)
end
return redis.call('LLEN', KEYS[1])
