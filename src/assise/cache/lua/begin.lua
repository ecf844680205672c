-- Take the lease of a value that is to be loaded, and read what it will depend on.
-- KEYS: lease, epoch, generations of tags. ARGV: token, ms of the lease, ms that generations are
-- kept, and a new generation for each key behind the lease.
-- Answers the generations, or nothing where somebody else has the lease.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return false
end
local found = {}
for i = 2, #KEYS do
  local generation = redis.call('GET', KEYS[i])
  if not generation then
    generation = ARGV[i + 2]
    redis.call('SET', KEYS[i], generation, 'PX', ARGV[3])
  elseif redis.call('PTTL', KEYS[i]) < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[3])
  end
  found[i - 1] = generation
end
return found
