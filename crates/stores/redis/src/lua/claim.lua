--
-- claim
--

-- A heap of lines by their first job, and what may still be loaded into it.
local function before(a, b)
  if a.due ~= b.due then return a.due < b.due end
  return a.number < b.number
end

local function push(heap, item)
  local i = #heap + 1
  heap[i] = item
  while i > 1 do
    local up = math.floor(i / 2)
    if not before(heap[i], heap[up]) then break end
    heap[i], heap[up] = heap[up], heap[i]
    i = up
  end
end

local function pop(heap)
  local first, last = heap[1], #heap
  heap[1] = heap[last]
  heap[last] = nil
  last = last - 1
  local i = 1
  while true do
    local least = i
    for child = 2 * i, 2 * i + 1 do
      if child <= last and before(heap[child], heap[least]) then least = child end
    end
    if least == i then break end
    heap[i], heap[least] = heap[least], heap[i]
    i = least
  end
  return first
end

-- What quotas leave.
local quotas, each_tenant, others

local function left_of(group, name)
  return quotas[group] and quotas[group][name]
end

local function tenant_left(tenant)
  local named = left_of('t', tenant)
  if named then return named end
  if tenant == '' then return nil end
  return others[tenant] or each_tenant
end

local function is_allowed(line)
  return left_of('q', line.q) ~= 0 and left_of('k', line.k) ~= 0 and tenant_left(line.t) ~= 0
end

local function use_up(line)
  local function less(group, name)
    local left = left_of(group, name)
    if left and left > 0 then quotas[group][name] = left - 1 end
  end
  less('q', line.q)
  less('k', line.k)
  less('t', line.t)
  if each_tenant and line.t ~= '' and not left_of('t', line.t) then
    others[line.t] = math.max((others[line.t] or each_tenant) - 1, 0)
  end
end

-- The next job of a line, as its head; gives back whether there is one that is due.
local function advance(line)
  if not line.jobs then
    line.jobs, line.next, line.read = {}, 1, 0
    line.chunk = line.chunk or 4
  end
  if line.next > #line.jobs then
    local last = line.read + line.chunk - 1
    line.jobs = call('ZRANGE', line.key, line.read, last, 'WITHSCORES')
    line.read = last + 1
    line.chunk = math.min(line.chunk * 4, 256)
    line.next = 1
  end
  local handle, due = line.jobs[line.next], num(line.jobs[line.next + 1] or '')
  -- A claim takes jobs from the front, so that what it has read says what comes first after it.
  if not line.is_known then
    line.is_known, line.first, line.first_due = true, handle, due
    lines[line.key] = line
  end
  line.after, line.after_due = handle, due
  if not handle or due > now then return false end
  line.handle, line.due, line.number = handle, due, number_of(handle)
  line.next = line.next + 2
  return true
end

-- The lines of some queues and one priority, in the order of their first jobs, by directories that
-- are read as far as they are needed.
local function source(queues, priority, limit)
  local all = { heap = {}, directories = {}, p = priority, limit = limit }
  for _, queue in ipairs(queues) do
    local key = K .. 'd:' .. queue .. '|' .. priority
    all.directories[#all.directories + 1] = { key = key, q = queue, read = 0, more = true }
  end
  return all
end

-- A priority is looked at when those above it have nothing.
local function source_of(sources, priority)
  if not sources[priority] then
    sources[priority] = source(sources.queues, priority, sources.limit)
  end
  return sources[priority]
end

local function read_directory(all, directory)
  local last = directory.read + CHUNK
  local found = call('ZRANGEBYSCORE', directory.key, '-inf', int(now), 'WITHSCORES', 'LIMIT',
    directory.read, CHUNK)
  directory.read = last
  directory.more = #found == 2 * CHUNK
  for i = 1, #found, 2 do
    local number, name = number_of(found[i]), found[i]:sub(14)
    local kind, tenant = name:match('^([^|]*)|(.*)$')
    local line = { q = directory.q, p = all.p, k = kind, t = tenant, due = num(found[i + 1]),
      number = number }
    line.key = K .. 'l:' .. line.q .. '|' .. line.p .. '|' .. line.k .. '|' .. line.t
    if #found == 2 then line.chunk = math.min(all.limit + 1, 256) end
    directory.last = line
    if is_allowed(line) then push(all.heap, line) end
  end
end

-- The line whose job is next, or nothing.
local function top(all)
  while true do
    local first = all.heap[1]
    if first and not is_allowed(first) then
      pop(all.heap)
    else
      local reads = false
      for _, directory in ipairs(all.directories) do
        if directory.more and (not first or not directory.last
            or not before(first, directory.last)) then
          read_directory(all, directory)
          reads = true
        end
      end
      if not reads then return first end
    end
  end
end

-- The next job of some lines by priority: the best one, or the longest due of those below it.
local function choose(sources, favours_lower)
  local best, at_best
  for priority = 1, 4 do
    best = top(source_of(sources, priority))
    at_best = priority
    if best then break end
  end
  if not best then return nil end
  if favours_lower then
    local lower, at_lower
    for priority = at_best + 1, 4 do
      local one = top(source_of(sources, priority))
      if one and (not lower or before(one, lower)) then lower, at_lower = one, priority end
    end
    if lower then best, at_best = lower, at_lower end
  end
  local heap = sources[at_best].heap
  local line = pop(heap)
  -- The directory knows a line's first job by its number alone.
  if not line.handle then advance(line) end
  local chosen = { handle = line.handle, line = line }
  if advance(line) then push(heap, line) end
  return chosen
end

-- Tenants of a queue, after `from` and up to `to`, each with its lines.
local function tenants(queue, from, to)
  return { key = K .. 't:' .. queue, q = queue, from = from, to = to, found = {}, next = 1 }
end

local function next_line(reader)
  if reader.next > #reader.found then
    if reader.over then return nil end
    reader.found = call('ZRANGEBYLEX', reader.key, reader.from, reader.to, 'LIMIT', 0, CHUNK)
    reader.next = 1
    if #reader.found < CHUNK then reader.over = true end
    if #reader.found == 0 then return nil end
    reader.from = '(' .. reader.found[#reader.found]
  end
  return reader.found[reader.next]
end

-- The first tenant that a reader has, as it is written there.
local function tenant_at(reader)
  local entry = next_line(reader)
  if not entry then return nil end
  return entry:match('^(.*%z%z)[^%z]*$')
end

local function lines_of(reader, tenant, sources)
  while tenant_at(reader) == tenant do
    local name = next_line(reader):sub(#tenant + 1)
    reader.next = reader.next + 1
    local kind, priority = name:match('^(.*)|(%d)$')
    local plain = tenant:sub(1, -3):gsub('%z\1', '\0')
    local line = { q = reader.q, p = num(priority), k = kind, t = plain }
    line.key = K .. 'l:' .. line.q .. '|' .. line.p .. '|' .. line.k .. '|' .. line.t
    if is_allowed(line) and advance(line) then push(source_of(sources, line.p).heap, line) end
  end
end

-- What the next tenant has, or nothing if each had its first turn.
local function next_tenant(readers)
  local first
  for _, reader in ipairs(readers) do
    local tenant = tenant_at(reader)
    if tenant and (not first or bytes_before(tenant, first)) then first = tenant end
  end
  if not first then return nil end
  local sources = { queues = {} }
  for _, reader in ipairs(readers) do lines_of(reader, first, sources) end
  return sources
end

local function turns(queues, after)
  local from = after and '[' .. ended(after):sub(1, -2) .. '\1' or '-'
  local readers, rest = {}, {}
  for _, queue in ipairs(queues) do
    readers[#readers + 1] = tenants(queue, from, '+')
    if after then rest[#rest + 1] = tenants(queue, '-', '(' .. from:sub(2)) end
  end
  return function()
    local found = next_tenant(readers)
    if not found and rest then
      readers, rest = rest, nil
      found = next_tenant(readers)
    end
    return found
  end
end

-- Which jobs fill the slots of a claim.
local function fill(queues, limit, favours, spread)
  local chosen = {}
  local function favours_lower() return favours:byte(#chosen + 1) == 49 end
  if not spread then
    local sources = { queues = queues, limit = limit }
    while #chosen < limit do
      local one = choose(sources, favours_lower())
      if not one then break end
      use_up(one.line)
      chosen[#chosen + 1] = one
    end
    return chosen
  end
  local fresh, again, first = turns(queues, spread.after), {}, 1
  while #chosen < limit do
    local tenant = fresh and fresh()
    if not tenant then
      fresh = nil
      tenant = again[first]
      first = first + 1
      if not tenant then break end
    end
    local served = 0
    while served < spread.each and #chosen < limit do
      local one = choose(tenant, favours_lower())
      if not one then break end
      use_up(one.line)
      chosen[#chosen + 1] = one
      served = served + 1
    end
    if served == spread.each then again[#again + 1] = tenant end
  end
  return chosen
end

local function read_quotas()
  quotas, each_tenant, others = { q = {}, k = {}, t = {} }, nil, {}
  for _ = 1, take_number() do
    local group, name, most = take(), take(), take_number()
    if group == 'e' then
      each_tenant = most
    else
      quotas[group][name] = most
    end
  end
end

-- Takes a job whose record is gone from its line.
local function lose_waiting(one)
  local handle, queue, state = one.handle, one.line.q, AVAILABLE
  drop(one.line.key, handle)
  for stored = SCHEDULED, RETRYABLE do
    local key = K .. 's:' .. queue .. '|' .. stored
    if call('ZSCORE', key, handle) then
      drop(key, handle)
      state = stored
    end
  end
  note_gone(queue, state, handle)
end

function functions.claim()
  local worker, lease, limit, token = take(), take_number(), take_number(), take_number()
  local favours, queues = take(), {}
  for _ = 1, take_number() do
    local queue = take()
    if call('SISMEMBER', K .. 'paused', queue) == 0 then queues[#queues + 1] = queue end
  end
  read_quotas()
  local spread
  if take() == '1' then
    local has_after, after = take(), take()
    spread = { after = has_after == '1' and after or nil, each = take_number() }
  end
  local expires = now + lease
  local handles, line_of, chosen = {}, {}, fill(queues, limit, favours, spread)
  for slot, one in ipairs(chosen) do
    handles[slot], line_of[one.handle] = one.handle, one.line
  end
  local claimed = load_there(handles, function(slot) lose_waiting(chosen[slot]) end)
  if claimed.err then return claimed end
  for slot, job in ipairs(claimed) do
    job.line = line_of[job.handle]
    local wanted = wants_key(job)
    unindex(job)
    job.s, job.n, job.c, job.l = RUNNING, job.n + 1, job.c + 1, expires
    job.w, job.y, job.x = worker, now, token + slot
    save(job)
    index(job)
    settle_key(job, wanted)
  end
  return rows_of(claimed)
end
