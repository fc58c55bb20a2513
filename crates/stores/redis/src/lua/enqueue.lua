--
-- enqueue
--

local function read_new()
  local new = { id = take(), q = take(), k = take(), t = take(), p = take_number() }
  new.scheduled, new.m = num(take()), take_number()
  new.kp, new.u, new.uh, new.us = take_some(), take_some(), take(), take()
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
    local body = K .. 'b:' .. holder.id
    call('SET', body, envelope(holder) .. new.args)
    call('DEL', K .. 'c:' .. holder.id)
    if new.on_conflict == 3 then holder.p = new.p end
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
    call('HSET', K .. 'j:' .. holder.id, 'uh', new.uh, 'p', holder.p, 'a', int(holder.a), 'f',
      int(holder.f), 's', holder.s)
    index(holder)
    return { 'replaced', holder.id, envelope(holder) }
  end
  if new.on_conflict == 1 or same then return { 'hit', holder.id, envelope(holder) } end
  return { 'taken', holder.id }
end

local function add(new)
  local there = call('HGET', K .. 'j:' .. new.id, 'el')
  if there then return { 'hit', new.id, envelope({ id = new.id, el = num(there) }) } end
  if new.u then
    local holder = holder_of(new)
    if holder then return meet(holder, new) end
  end
  local job = new
  job.e, job.c, job.n, job.v = now, 0, 0, 0
  job.a = math.max(new.scheduled or now, now)
  job.f = job.a
  job.s = job.a > now and SCHEDULED or AVAILABLE
  job.i = call('INCR', K .. 'seq')
  local fields = { 'q', job.q, 'k', job.k, 'p', job.p, 's', job.s, 'n', 0, 'c', 0, 'm', job.m, 'e',
    int(now), 'f', int(job.a), 'a', int(job.a), 'i', int(job.i), 'el', #new.envelope }
  local function set(field, value)
    fields[#fields + 1] = field
    fields[#fields + 1] = value
  end
  if job.t ~= '' then set('t', job.t) end
  if job.kp then set('kp', job.kp) end
  if job.u then
    set('u', job.u)
    set('uh', job.uh)
    set('us', job.us)
    call('SET', unique_key(job), job.id)
  end
  call('HSET', K .. 'j:' .. job.id, unpack(fields))
  call('SET', K .. 'b:' .. job.id, new.envelope .. new.args)
  call('ZADD', K .. 'ids', int(job.i), job.id)
  index(job)
  return { 'created', job.id }
end

local functions = {}

function functions.enqueue()
  local answers = {}
  for i = 1, take_number() do answers[i] = add(read_new()) end
  return answers
end
