-- Set a value at a key that an application names, with the generations that its tags have now.
-- KEYS: value, lease, generations of tags. ARGV: what stands before the generations, and behind
-- them, ms to live, ms that generations are kept, and a new generation for each tag.
local found = {}
for i = 3, #KEYS do
  local generation = redis.call('GET', KEYS[i])
  if not generation then
    generation = ARGV[i + 2]
    redis.call('SET', KEYS[i], generation, 'PX', ARGV[4])
  elseif redis.call('PTTL', KEYS[i]) < tonumber(ARGV[4]) then
    redis.call('PEXPIRE', KEYS[i], ARGV[4])
  end
  found[i - 2] = generation
end
-- SET first: behind another write of the script a full server would take it.
redis.call('SET', KEYS[1], ARGV[1] .. table.concat(found) .. ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return #found
