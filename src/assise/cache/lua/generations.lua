-- The generations of the keys from `first` on: an absent one is made of ARGV from `fresh` on, and all are
-- kept for so many ms at least.
local function keep_generations(first, kept_ms, fresh)
  local found = {}
  for i = first, #KEYS do
    local place = i - first
    local generation = redis.call('GET', KEYS[i])
    if not generation then
      generation = ARGV[fresh + place]
      redis.call('SET', KEYS[i], generation, 'PX', kept_ms)
    elseif redis.call('PTTL', KEYS[i]) < tonumber(kept_ms) then
      redis.call('PEXPIRE', KEYS[i], kept_ms)
    end
    found[place + 1] = generation
  end
  return found
end
