-- Set a value at a key that an application names, with the generations that its tags have now.
-- KEYS: value, lease, generations of tags. ARGV: what stands before the generations, and behind
-- them, ms to live, ms that generations are kept, and a new generation for each tag.
local found = keep_generations(3, ARGV[4], 5)
-- SET first: behind another write of the script a full server would take it.
redis.call('SET', KEYS[1], ARGV[1] .. table.concat(found) .. ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
return #found
