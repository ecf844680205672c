-- End one try of a job. KEYS: jobs, tries, due, processing, later, dead. ARGV: id, number of the
-- try, 'done' or 'failed', tries at most, ms until the next, what went wrong.
-- Answers done, again, dead, or lost where another has the job by now.
if redis.call('HGET', KEYS[2], ARGV[1]) ~= ARGV[2] or not redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  return 'lost'
end
redis.call('ZREM', KEYS[3], ARGV[1])
redis.call('LREM', KEYS[4], 0, ARGV[1])
if ARGV[3] == 'done' then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
  return 'done'
end
if tonumber(ARGV[2]) >= tonumber(ARGV[4]) then
  redis.call('HSET', KEYS[6], ARGV[1], ARGV[6])
  return 'dead'
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[5], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[5], ARGV[1])
return 'again'
