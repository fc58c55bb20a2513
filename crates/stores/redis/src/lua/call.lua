-- The store's functions. All keys of a store begin with KEYS[1], a prefix in braces, so that they
-- lie in one slot of a cluster. ARGV[1] names the function, ARGV[2] is the time in microseconds or
-- empty for the server's own; the rest is the function's. What each takes and gives is in
-- `contract.rs`, from which docs/redis-functions.md is made.
--
-- Times are whole microseconds: exact in a double until the year 2255. Lua shortens large numbers
-- that it makes text of, so they go through `int`.

-- What one call works on.
local K, now, args, at
local jobs, dirty, texts, gone, sets, lines, shelves, counts, woken, fresh_numbers, last_number, expected

local SCHEDULED, RETRYABLE, AVAILABLE, RUNNING = 0, 1, 2, 3
local COMPLETED, CANCELLED, DISCARDED = 4, 5, 6
local CHUNK = 64
-- As many values as go into one command: Lua's stack bears 8000.
local MOST = 1000
local NONE = {}

-- While a library is loaded nothing of Lua's own is there yet, nor anything to call.
local call
local function num(text) return tonumber(text) end
local function int(n) return string.format('%.0f', n) end

local function take()
  at = at + 1
  return args[at]
end

local function take_number() return num(take()) end

-- An argument that may be missing is empty.
local function take_some()
  local text = take()
  if text ~= '' then return text end
end

-- The order of bytes; Lua's own comparison asks the locale.
local function bytes_before(a, b)
  local most = math.min(#a, #b)
  for i = 1, most do
    local x, y = a:byte(i), b:byte(i)
    if x ~= y then return x < y end
  end
  return #a < #b
end
