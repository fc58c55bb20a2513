--
-- The store itself
--

function functions.open()
  local mine = take()
  local theirs = call('GET', K .. 'layout')
  if not theirs then
    call('SET', K .. 'layout', mine)
    return mine
  end
  return theirs
end

local function run(keys, arguments)
  call = redis.call
  K, args, at = keys[1], arguments, 2
  lines, counts, woken = {}, {}, {}
  if arguments[2] == '' then
    local time = call('TIME')
    now = num(time[1]) * 1000000 + num(time[2])
  else
    now = num(arguments[2])
  end
  local answer = functions[arguments[1]]()
  if type(answer) == 'table' and answer.err then return answer end
  flush_lines()
  flush_counts()
  return { int(now), answer }
end
