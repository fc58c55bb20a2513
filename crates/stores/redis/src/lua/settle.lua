--
-- heartbeat, settle, rescue
--

local function held(id, token)
  local job = load(id)
  if job and job.s == RUNNING and job.x == token then return job end
end

function functions.heartbeat()
  local answers = {}
  for i = 1, take_number() do
    local id, token, extend = take(), take(), take_number()
    local progress, has_checkpoint, checkpoint = take_some(), take(), take()
    local job = held(id, token)
    if not job then
      answers[i] = { 'lost' }
    else
      local expires = now + extend
      call('ZADD', K .. 'leases', int(expires), handle_of(job))
      call('HSET', K .. 'j:' .. id, 'l', int(expires))
      if progress then call('HSET', K .. 'j:' .. id, 'g', progress) end
      if has_checkpoint == '1' then call('SET', K .. 'c:' .. id, checkpoint) end
      answers[i] = { job.v and job.v ~= 0 and 'stop' or 'held', int(expires) }
    end
  end
  return answers
end

-- Ends the attempt of a running job. `ending`: state, outcome, due, error, uncounted.
local function apply(job, ending, span)
  local key = K .. 'j:' .. job.id
  local wanted = wants_key(job)
  unindex(job)
  local record = job.n .. ',' .. job.c .. ',' .. int(job.a) .. ',' .. int(job.y) .. ','
    .. int(now) .. ',' .. ending.outcome .. ',' .. span .. '\n' .. job.w .. '\n'
    .. (ending.error or '')
  call('RPUSH', K .. 'h:' .. job.id, record)
  if job.c > 64 then call('LTRIM', K .. 'h:' .. job.id, -64, -1) end
  job.s = ending.state
  if ending.due and waits(job) then job.a = ending.due end
  if ending.uncounted then job.n = math.max(job.n - 1, 0) end
  if is_over(job) then
    job.z = now
    call('HSET', key, 's', job.s, 'n', job.n, 'z', int(now))
    call('DEL', K .. 'c:' .. job.id)
  else
    call('HSET', key, 's', job.s, 'n', job.n, 'a', int(job.a))
  end
  -- A request to stop is over with the job, and a job that has one does not wait again.
  call('HDEL', key, 'w', 'y', 'l', 'x', 'g', 'v')
  index(job)
  settle_key(job, wanted)
end

local OUTCOMES = { 'completed', 'retried', 'not_yet', 'snoozed', 'cancelled', 'discarded',
  'handed_back' }
local LEADS_TO = { COMPLETED, RETRYABLE, RETRYABLE, SCHEDULED, CANCELLED, DISCARDED, AVAILABLE }

local function stopped(v) return v == 2 and DISCARDED or CANCELLED end

local function ending_of(job, outcome, due, error)
  local stop = job.v and job.v ~= 0 and job.v
  local recorded = outcome
  if stop and LEADS_TO[outcome] <= AVAILABLE then recorded = 5 end
  local state = LEADS_TO[recorded]
  if recorded == 5 and stop then state = stopped(stop) end
  if outcome == 7 then due = now end
  return { state = state, outcome = OUTCOMES[recorded], due = due, error = error,
    uncounted = recorded == 4 or recorded == 7 }
end

function functions.settle()
  local answers = {}
  for i = 1, take_number() do
    local id, token, outcome, due = take(), take(), take_number(), num(take())
    local error, keep, span = take_some(), take_some(), take()
    local has_result, result = take(), take()
    local follow_ups = {}
    for n = 1, take_number() do follow_ups[n] = read_new() end
    local job = held(id, token)
    if not job then
      answers[i] = { 'lost' }
    else
      if keep then call('HSETNX', K .. 'j:' .. id, 'kp', keep) end
      apply(job, ending_of(job, outcome, due, error), span)
      if has_result == '1' then call('SET', K .. 'r:' .. id, result) end
      for _, new in ipairs(follow_ups) do add(new) end
      answers[i] = { 'settled', job.s }
    end
  end
  return answers
end

function functions.rescue()
  local limit, error, reason = take_number(), take(), take()
  local rows = {}
  local expired = call('ZRANGEBYSCORE', K .. 'leases', '-inf', '(' .. int(now), 'LIMIT', 0, limit)
  local jobs = load_all(expired, 'is leased')
  if jobs.err then return jobs end
  for i, job in ipairs(jobs) do
    local id = job.id
    local ending = { outcome = 'lost', error = error }
    if job.v and job.v ~= 0 then
      ending.state = stopped(job.v)
    elseif job.n >= job.m then
      ending.state = DISCARDED
    else
      ending.state, ending.due = AVAILABLE, now
    end
    call('HSETNX', K .. 'j:' .. id, 'kp', int(now) .. ' ' .. reason)
    apply(job, ending, '')
    rows[i] = row(id, false)
  end
  return rows
end

function functions.promote()
  local limit, promoted = take_number(), 0
  local queues = {}
  for _, field in ipairs(call('HKEYS', K .. 'n')) do
    local queue, state = field:match('^(.*)|([01])$')
    if queue then queues[#queues + 1] = { queue, num(state) } end
  end
  for _, one in ipairs(queues) do
    local queue, state = one[1], one[2]
    local key = K .. 's:' .. queue .. '|' .. state
    local due = call('ZRANGEBYSCORE', key, '-inf', int(now), 'LIMIT', 0, limit - promoted)
    for _, handle in ipairs(due) do
      call('ZREM', key, handle)
      call('HSET', K .. 'j:' .. id_of(handle), 's', AVAILABLE)
      count(queue, state, -1)
      count(queue, AVAILABLE, 1)
      promoted = promoted + 1
    end
  end
  return promoted
end
