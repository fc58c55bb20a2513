--
-- What a call changes: gathered while it runs, then written with few commands.
--

local function in_parts(list, write)
  for from = 1, #list, MOST do write(from, math.min(from + MOST - 1, #list)) end
end

local function write(key, text)
  texts[#texts + 1] = key
  texts[#texts + 1] = text
end

local function forget(key) gone[#gone + 1] = key end

local function set_of(key)
  local set = sets[key]
  if not set then
    set = {}
    sets[key] = set
  end
  return set
end

local function put(key, member, score) set_of(key)[member] = score end
local function drop(key, member) set_of(key)[member] = false end

local function flush_sets()
  for key, set in pairs(sets) do
    local added, dropped = {}, {}
    for member, score in pairs(set) do
      if score then
        added[#added + 1] = score
        added[#added + 1] = member
      else
        dropped[#dropped + 1] = member
      end
    end
    in_parts(dropped, function(from, to) call('ZREM', key, unpack(dropped, from, to)) end)
    in_parts(added, function(from, to) call('ZADD', key, unpack(added, from, to)) end)
  end
end

local function count(queue, state, by)
  local field = queue .. '|' .. state
  counts[field] = (counts[field] or 0) + by
end

local function flush_counts()
  for field, by in pairs(counts) do
    if by ~= 0 and call('HINCRBY', K .. 'n', field, by) == 0 then
      call('HDEL', K .. 'n', field)
    end
  end
end
