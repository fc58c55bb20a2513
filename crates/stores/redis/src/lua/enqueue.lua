--
-- enqueue
--

local function read_new()
  local new = { id = take(), q = take(), k = take(), t = take(), p = take_number() }
  new.scheduled, new.m = num(take()), take_number()
  new.kp, new.u, new.uh, new.us = take_some(), take_some(), take_some(), take_number()
  new.on_conflict, new.envelope, new.args = take_number(), take(), take()
  return new
end

local function meet(holder, new)
  local same = holder.uh == new.uh
  if holder.pruned then
    if new.on_conflict == 1 or same then return { 'hit', holder.id, false } end
    return { 'taken', holder.id }
  end
  local replaces = new.on_conflict >= 2
  if replaces and waits(holder) and holder.k == new.k then
    unindex(holder)
    write(K .. 'b:' .. holder.id, envelope(holder) .. new.args)
    if holder.ck then
      forget(K .. 'c:' .. holder.id)
      holder.ck = nil
    end
    holder.uh = new.uh
    if new.on_conflict == 3 then holder.p, holder.line = new.p, nil end
    if new.scheduled then
      holder.a = math.max(new.scheduled, now)
      if holder.c == 0 then holder.f = holder.a end
      if holder.a <= now then
        holder.s = AVAILABLE
      elseif holder.n == 0 then
        holder.s = SCHEDULED
      else
        holder.s = RETRYABLE
      end
    end
    save(holder)
    index(holder)
    return { 'replaced', holder.id, envelope(holder) }
  end
  if new.on_conflict == 1 or same then return { 'hit', holder.id, envelope(holder) } end
  return { 'taken', holder.id }
end

-- The next number; as many are taken at once as there may yet be jobs, and what is left is lost.
local function next_number()
  if fresh_numbers == 0 then
    fresh_numbers = math.max(expected, 1)
    last_number = call('INCRBY', K .. 'seq', fresh_numbers)
  end
  fresh_numbers, expected = fresh_numbers - 1, expected - 1
  return last_number - fresh_numbers
end

local function add(new)
  local there = load(new.id)
  if there then return { 'hit', new.id, envelope(there) } end
  if new.u then
    local holder = holder_of(new)
    if holder then return meet(holder, new) end
  end
  local job = new
  job.e, job.c, job.n = now, 0, 0
  job.a = math.max(new.scheduled or now, now)
  job.f = job.a
  job.s = job.a > now and SCHEDULED or AVAILABLE
  job.i, job.el = next_number(), #new.envelope
  if job.u then
    call('SET', unique_key(job), job.id)
  else
    job.us = nil
  end
  jobs[job.id] = job
  save(job)
  write(K .. 'b:' .. job.id, new.envelope .. new.args)
  index(job)
  return { 'created', job.id }
end

-- So many new jobs, and their ids.


local function read_all_new(many)
  if many == 0 then return NONE, NONE end
  local news, ids = {}, {}
  for i = 1, many do
    news[i] = read_new()
    ids[i] = news[i].id
  end
  return news, ids
end

local functions = {}

function functions.enqueue()
  local news, ids = read_all_new(take_number())
  fetch(ids)
  expected = #news
  local answers = {}
  for i, new in ipairs(news) do answers[i] = add(new) end
  return answers
end
