-- Add to whole numbers. KEYS: where. ARGV: ms that they stay or 0, then names and what is added.
local found = {}
for i = 2, #ARGV, 2 do
  found[#found + 1] = redis.call('HINCRBY', KEYS[1], ARGV[i], ARGV[i + 1])
end
if ARGV[1] ~= '0' and redis.call('PTTL', KEYS[1]) < 0 then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return found
