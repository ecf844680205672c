-- Take the lease of a value that is to be loaded, and read what it will depend on.
-- KEYS: lease, epoch, generations of tags. ARGV: token, ms of the lease, ms that generations are
-- kept, and a new generation for each key behind the lease.
-- Answers the generations, or nothing where somebody else has the lease.
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return false
end
return keep_generations(2, ARGV[3], 4)
