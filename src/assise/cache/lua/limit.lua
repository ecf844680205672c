-- One more, if the limit lets it: a window that slides over the counts of this time and the last.
-- KEYS: the limit. ARGV: how often, ms of the window, how many more, '1' to only ask, ms of now or
-- ''. Answers: whether, how many are left, and in how many ms one more may be.
local limit, window, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local now = tonumber(ARGV[5])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local number = math.floor(now / window)
local into = (now - number * window) / window
local found = redis.call('HMGET', KEYS[1], 'window', 'count', 'before')
local known, count, before = tonumber(found[1]), tonumber(found[2] or 0), tonumber(found[3] or 0)
if known ~= number then
  before = (known == number - 1) and count or 0
  count = 0
end
local used = before * (1 - into) + count
if used + cost > limit then
  local wait
  if count + cost <= limit then
    wait = (1 - (limit - count - cost) / before - into) * window
  else
    wait = (1 - into + math.max(0, 1 - (limit - cost) / count)) * window
  end
  return {0, math.max(0, math.floor(limit - used)), math.ceil(math.max(wait, 1))}
end
if ARGV[4] ~= '1' then
  redis.call('HSET', KEYS[1], 'window', number, 'count', count + cost, 'before', before)
  redis.call('PEXPIRE', KEYS[1], 2 * window)
  used = used + cost
end
return {1, math.floor(limit - used), 0}
