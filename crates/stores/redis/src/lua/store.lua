--
-- The store itself
--

-- The first program of a newer version makes the store its own: older ones refuse it from then on.
function functions.open()
  local mine = take_number()
  local theirs = num(call('GET', K .. 'layout') or '')
  if not theirs or theirs < mine then
    call('SET', K .. 'layout', mine)
    theirs = mine
  end
  return { theirs, call('EXISTS', K .. 'ids') }
end

local function flush()
  flush_jobs()
  flush_sets()
  flush_lines()
  flush_counts()
end

local function run(keys, arguments)
  call = redis.call
  K, args, at = keys[1], arguments, 2
  jobs, dirty, texts, gone, sets = {}, {}, {}, {}, {}
  lines, shelves, counts, woken = {}, {}, {}, {}
  fresh_numbers, expected = 0, 1
  if arguments[2] == '' then
    local time = call('TIME')
    now = num(time[1]) * 1000000 + num(time[2])
  else
    now = num(arguments[2])
  end
  local answer = functions[arguments[1]]()
  if type(answer) == 'table' and answer.err then return answer end
  flush()
  return { int(now), answer }
end
