--
-- Queries
--

function functions.get() return row(take(), false) end

function functions.list()
  local below, limit = take(), take_number()
  local ids = call('ZREVRANGEBYSCORE', K .. 'ids', below, '-inf', 'LIMIT', 0, limit)
  local rows = {}
  for i, id in ipairs(ids) do rows[i] = row(id, true) end
  return rows
end

-- When the first job of a queue is due.
local function next_due(queue)
  local next
  for priority = 1, 4 do
    local due = first_of(K .. 'd:' .. queue .. '|' .. priority)
    if due and (not next or due < next) then next = due end
  end
  return next
end

function functions.stats()
  local by_queue, names = {}, {}
  local function of(queue)
    if not by_queue[queue] then
      by_queue[queue] = { 0, 0, 0, 0, 0, 0, 0 }
      names[#names + 1] = queue
    end
    return by_queue[queue]
  end
  local all = call('HGETALL', K .. 'n')
  for i = 1, #all, 2 do
    local queue, state = all[i]:match('^(.*)|(%d)$')
    of(queue)[num(state) + 1] = num(all[i + 1])
  end
  local is_paused = {}
  for _, queue in ipairs(call('SMEMBERS', K .. 'paused')) do
    of(queue)
    is_paused[queue] = true
  end
  local answers = {}
  for i, queue in ipairs(names) do
    local counted = by_queue[queue]
    for state = SCHEDULED, RETRYABLE do
      if counted[state + 1] > 0 then
        local due = call('ZCOUNT', K .. 's:' .. queue .. '|' .. state, '-inf', int(now))
        counted[state + 1] = counted[state + 1] - due
        counted[AVAILABLE + 1] = counted[AVAILABLE + 1] + due
      end
    end
    local oldest = next_due(queue)
    answers[i] = { queue, is_paused[queue] and 1 or 0, oldest and oldest <= now and int(oldest) or '',
      unpack(counted) }
  end
  return answers
end

function functions.next()
  local next
  for _ = 1, take_number() do
    local queue = take()
    if call('SISMEMBER', K .. 'paused', queue) == 0 then
      local due = next_due(queue)
      if due and (not next or due < next) then next = due end
    end
  end
  return next and int(next) or ''
end
