-- Take the lease of a value that is to be loaded, and read what it will depend on.
-- KEYS: lease, value, epoch, generations of tags. ARGV: token, ms of the lease, ms that generations
-- are kept, the head (14 bytes) of what stood at the value's key when it was read, and a new
-- generation for each key behind the value.
-- Answers the generations, or nothing where somebody else has the lease, or has stored meanwhile.
if redis.call('GETRANGE', KEYS[2], 0, 13) ~= ARGV[4] then
  return false
end
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return false
end
return keep_generations(3, ARGV[3], 5)
