--
-- heartbeat, settle, rescue
--

local function held(id, token)
  local job = load(id)
  if job and job.s == RUNNING and job.x == token then return job end
end

function functions.heartbeat()
  local beats, ids, answers = {}, {}, {}
  for i = 1, take_number() do
    beats[i] = { id = take(), token = take_number(), extend = take_number(), progress = num(take()),
      has_checkpoint = take(), checkpoint = take() }
    ids[i] = beats[i].id
  end
  fetch(ids)
  for i, beat in ipairs(beats) do
    local job = held(beat.id, beat.token)
    if not job then
      answers[i] = { 'lost' }
    else
      job.l = now + beat.extend
      put(K .. 'leases', handle_of(job), job.l)
      job.g = beat.progress or job.g
      if beat.has_checkpoint == '1' then
        write(K .. 'c:' .. job.id, beat.checkpoint)
        job.ck = true
      end
      save(job)
      answers[i] = { job.v and 'stop' or 'held', int(job.l) }
    end
  end
  return answers
end

-- Ends the attempt of a running job. `ending`: state, outcome, due, error, uncounted.
local function apply(job, ending, span)
  local wanted = wants_key(job)
  unindex(job)
  if job.last then
    local key = K .. 'h:' .. job.id
    if call('RPUSH', key, job.last) > 63 then call('LTRIM', key, -63, -1) end
    job.h = true
  end
  job.last = job.n .. ',' .. job.c .. ',' .. int(job.a) .. ',' .. int(job.y) .. ','
    .. int(now) .. ',' .. ending.outcome .. ',' .. span .. '\n' .. job.w .. '\n'
    .. (ending.error or '')
  job.s = ending.state
  if ending.due and waits(job) then job.a = ending.due end
  if ending.uncounted then job.n = math.max(job.n - 1, 0) end
  if is_over(job) then
    job.z = now
    if job.ck then forget(K .. 'c:' .. job.id) end
    job.ck = nil
  end
  -- A request to stop is over with the job, and a job that has one does not wait again.
  job.w, job.y, job.l, job.x, job.g, job.v = nil, nil, nil, nil, nil, nil
  save(job)
  index(job)
  settle_key(job, wanted)
end

local OUTCOMES = { 'completed', 'retried', 'not_yet', 'snoozed', 'cancelled', 'discarded',
  'handed_back' }
local LEADS_TO = { COMPLETED, RETRYABLE, RETRYABLE, SCHEDULED, CANCELLED, DISCARDED, AVAILABLE }

local function stopped(v) return v == 2 and DISCARDED or CANCELLED end

local function ending_of(job, outcome, due, error)
  local recorded = outcome
  if job.v and LEADS_TO[outcome] <= AVAILABLE then recorded = 5 end
  local state = LEADS_TO[recorded]
  if recorded == 5 and job.v then state = stopped(job.v) end
  if outcome == 7 then due = now end
  return { state = state, outcome = OUTCOMES[recorded], due = due, error = error,
    uncounted = recorded == 4 or recorded == 7 }
end

local function settle(wish)
  local job = held(wish.id, wish.token)
  if not job then return { 'lost' } end
  job.kp = job.kp or wish.keep
  apply(job, ending_of(job, wish.outcome, wish.due, wish.error), wish.span)
  if wish.has_result == '1' then
    write(K .. 'r:' .. job.id, wish.result)
    job.rs = true
  end
  for _, new in ipairs(wish.follow_ups) do add(new) end
  return { 'settled', job.s }
end

function functions.settle()
  local wishes, ids, answers = {}, {}, {}
  expected = 0
  for i = 1, take_number() do
    local wish = { id = take(), token = take_number(), outcome = take_number(), due = num(take()),
      error = take_some(), keep = take_some(), span = take(), has_result = take(), result = take() }
    wish.follow_ups, wish.new_ids = read_all_new(take_number())
    wishes[i] = wish
    ids[#ids + 1] = wish.id
    for _, id in ipairs(wish.new_ids) do ids[#ids + 1] = id end
    expected = expected + #wish.follow_ups
  end
  fetch(ids)
  for i, wish in ipairs(wishes) do answers[i] = settle(wish) end
  return answers
end

-- Ends the lease of a job whose record is gone. What queue it was of only the shelves still know.
local function lose_running(handle)
  drop(K .. 'leases', handle)
  for _, field in ipairs(call('HKEYS', K .. 'n')) do
    local queue = field:match('^(.*)|3$')
    local number = queue and call('ZSCORE', shelf_of({ q = queue, s = RUNNING }), id_of(handle))
    if number and num(number) == number_of(handle) then
      return note_gone(queue, RUNNING, handle)
    end
  end
  note_gone(nil, RUNNING, handle)
end

function functions.rescue()
  local limit, error, reason = take_number(), take(), take()
  local expired = call('ZRANGEBYSCORE', K .. 'leases', '-inf', '(' .. int(now), 'LIMIT', 0, limit)
  local lost = load_there(expired, function(i) lose_running(expired[i]) end)
  if lost.err then return lost end
  for _, job in ipairs(lost) do
    local ending = { outcome = 'lost', error = error }
    if job.v then
      ending.state = stopped(job.v)
    elseif job.n >= job.m then
      ending.state = DISCARDED
    else
      ending.state, ending.due = AVAILABLE, now
    end
    job.kp = job.kp or (int(now) .. ' ' .. reason)
    apply(job, ending, '')
  end
  return rows_of(lost)
end

-- A line has its jobs by due time whatever state they are stored in: it need not change.
local function promote(queue, state, limit)
  local key = K .. 's:' .. queue .. '|' .. state
  local due = call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, limit)
  local ids = {}
  for i, handle in ipairs(due) do ids[i] = id_of(handle) end
  fetch(ids)
  for i, handle in ipairs(due) do
    local id = ids[i]
    local job = jobs[id]
    drop(key, handle)
    count(queue, state, -1)
    count(queue, AVAILABLE, 1)
    -- One whose record is gone moves as well: the claim that comes to it notes that.
    if not job or job.i == number_of(handle) then
      drop(shelf_of({ q = queue, s = state }), id)
      put(shelf_of({ q = queue, s = AVAILABLE }), id, number_of(handle))
    end
    if job and job.i == number_of(handle) then
      job.s = AVAILABLE
      save(job)
    end
  end
  return #due
end

function functions.promote()
  local limit, promoted = take_number(), 0
  for _, field in ipairs(call('HKEYS', K .. 'n')) do
    local queue, state = field:match('^(.*)|([01])$')
    if queue then
      promoted = promoted + promote(queue, num(state), limit - promoted)
    end
  end
  return promoted
end
