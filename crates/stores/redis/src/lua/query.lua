--
-- Queries
--

function functions.get()
  local job = load(take())
  return job and rows_of({ job })[1] or false
end

-- Ids below a number, from new to old, read as far as they are needed.
local function shelf_reader(key, below, chunk)
  return { key = key, below = below, chunk = chunk, found = {}, next = 1, more = true }
end

-- Running jobs alone, of which there are no more than workers hold.
local function running_reader(below)
  local most = below == '+inf' and math.huge or num(below:sub(2))
  local handles = {}
  for _, handle in ipairs(call('ZRANGE', K .. 'leases', 0, -1)) do
    if number_of(handle) < most then handles[#handles + 1] = handle end
  end
  table.sort(handles, function(a, b) return number_of(a) > number_of(b) end)
  local found = {}
  for _, handle in ipairs(handles) do
    found[#found + 1] = id_of(handle)
    found[#found + 1] = number_of(handle)
  end
  return { found = found, next = 1 }
end

local function read_on(reader)
  if reader.next > #reader.found and reader.more then
    reader.found = call('ZREVRANGEBYSCORE', reader.key, reader.below, '-inf', 'WITHSCORES', 'LIMIT', 0,
      reader.chunk)
    reader.next, reader.more = 1, #reader.found == 2 * reader.chunk
    if reader.more then reader.below = '(' .. reader.found[#reader.found] end
  end
  local id = reader.found[reader.next]
  if not id then return false end
  reader.id, reader.due, reader.number = id, -num(reader.found[reader.next + 1]), 0
  reader.next = reader.next + 2
  return true
end

-- The shelves to look at: of one queue, or of every queue what it has.
local function wanted_shelves(queue, wanted)
  local keys, seen = {}, {}
  local function add_shelf(name, shelf)
    local key = K .. 'i:' .. name .. '|' .. shelf
    if wanted[shelf] and shelf ~= 'r' and not seen[key] then
      seen[key] = true
      keys[#keys + 1] = key
    end
  end
  if queue then
    for shelf in pairs(wanted) do add_shelf(queue, shelf) end
    return keys
  end
  for _, field in ipairs(call('HKEYS', K .. 'n')) do
    local name, state = field:match('^(.*)|(%d)$')
    add_shelf(name, (state == '2' or state == '3') and 'w' or state)
  end
  return keys
end

function functions.list()
  local below, limit, queue, wanted = take(), take_number(), take_some(), {}
  for _ = 1, take_number() do wanted[take()] = true end
  local keys, heap, ids, last = wanted_shelves(queue, wanted), {}, {}, 0
  local chunk = math.max(math.ceil(limit / math.max(#keys, 1)), 8)
  for _, key in ipairs(keys) do
    local reader = shelf_reader(key, below, chunk)
    if read_on(reader) then push(heap, reader) end
  end
  if wanted.r then
    local reader = running_reader(below)
    if read_on(reader) then push(heap, reader) end
  end
  while #ids < limit and heap[1] do
    local reader = pop(heap)
    ids[#ids + 1], last = reader.id, -reader.due
    if read_on(reader) then push(heap, reader) end
  end
  fetch(ids)
  local found = {}
  for _, id in ipairs(ids) do found[#found + 1] = jobs[id] or nil end
  return { #ids, int(last), rows_of(found, true) }
end

-- When the first job of a queue is due.
local function next_due(queue)
  local next
  for priority = 1, 4 do
    local _, due = first_of(K .. 'd:' .. queue .. '|' .. priority)
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

-- Jobs whose record was found gone: how many are noted, and the last ones.
function functions.gone()
  local key = K .. 'gone'
  return { call('ZCARD', key), call('ZREVRANGE', key, 0, take_number() - 1) }
end
