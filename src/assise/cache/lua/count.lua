-- Add to the counts of a cached function. KEYS: its counts. ARGV: ms that they are kept, then
-- each name with what is added.
for i = 2, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
return redis.call('PEXPIRE', KEYS[1], ARGV[1])
