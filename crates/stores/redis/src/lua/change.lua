--
-- What a call changes: gathered while it runs, then written with few commands.
--

-- A command of many values, as many at a time as it bears.
local function call_with(values, command, key)
  for from = 1, #values, MOST do
    local to = math.min(from + MOST - 1, #values)
    if key then
      call(command, key, unpack(values, from, to))
    else
      call(command, unpack(values, from, to))
    end
  end
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
    call_with(dropped, 'ZREM', key)
    call_with(added, 'ZADD', key)
  end
end

local function count(queue, state, by)
  local of = counts[queue]
  if not of then
    of = {}
    counts[queue] = of
  end
  of[state] = (of[state] or 0) + by
end

local function flush_counts()
  for queue, states in pairs(counts) do
    for state, by in pairs(states) do
      local field = queue .. '|' .. state
      if by ~= 0 and call('HINCRBY', K .. 'n', field, by) == 0 then
        call('HDEL', K .. 'n', field)
      end
    end
  end
end
