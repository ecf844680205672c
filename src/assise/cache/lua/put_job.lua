-- Put a job into a queue, once for each idempotency key.
-- KEYS: ready, jobs, later, once. ARGV: id, job, key or '', ms that the key is kept, ms of delay.
-- Answers the id of the job, which may be one that was put before.
if ARGV[3] ~= '' then
  local known = redis.call('GET', KEYS[4])
  if known then
    return known
  end
end
redis.call('HSET', KEYS[2], ARGV[1], ARGV[2])
if ARGV[3] ~= '' then
  redis.call('SET', KEYS[4], ARGV[1], 'PX', ARGV[4])
end
if ARGV[5] == '0' then
  redis.call('LPUSH', KEYS[1], ARGV[1])
else
  local time = redis.call('TIME')
  redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5], ARGV[1])
end
return ARGV[1]
