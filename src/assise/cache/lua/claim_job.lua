-- Begin a job that was moved to those under way.
-- KEYS: jobs, tries, due, processing. ARGV: id, ms that it may take. Answers the job and its try.
local job = redis.call('HGET', KEYS[1], ARGV[1])
if not job then
  redis.call('LREM', KEYS[4], 0, ARGV[1])
  return false
end
local time = redis.call('TIME')
redis.call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
return {job, redis.call('HINCRBY', KEYS[2], ARGV[1], 1)}
