-- Store a loaded value, unless its lease is gone or something was invalidated meanwhile.
-- KEYS: lease, value, epoch, generations of tags. ARGV: token, bytes, ms to live, then the
-- generations that were read when the load began.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
for i = 3, #KEYS do
  if redis.call('GET', KEYS[i]) ~= ARGV[i + 1] then
    redis.call('DEL', KEYS[1])
    return 0
  end
end
-- SET first: behind another write of the script a full server would take it.
redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[1])
return 1
