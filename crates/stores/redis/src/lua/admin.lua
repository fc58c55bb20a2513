--
-- Administration
--

function functions.stop()
  local stop, answers = take_number(), {}
  for i = 1, take_number() do
    local id = take()
    local job = load(id)
    if not job then
      answers[i] = -1
    else
      if job.s == RUNNING then
        call('HSET', K .. 'j:' .. id, 'v', stop)
      elseif waits(job) then
        local wanted = wants_key(job)
        unindex(job)
        job.s, job.z = stopped(stop), now
        call('HSET', K .. 'j:' .. id, 's', job.s, 'z', int(now))
        call('DEL', K .. 'c:' .. id)
        index(job)
        settle_key(job, wanted)
      end
      answers[i] = job.s
    end
  end
  return answers
end

local function retry(job)
  if job.s == RUNNING then return { 'running' } end
  local held_before, wanted = holds_key(job), wants_key(job)
  local after = {}
  for field, value in pairs(job) do after[field] = value end
  if is_over(job) or job.a > now then after.a = now end
  after.s, after.z, after.m = AVAILABLE, nil, math.max(job.m, job.n + 1)
  if holds_key(after) and not held_before then
    local holder = holder_of(job)
    if holder then return { 'taken', holder.id } end
  end
  unindex(job)
  call('HSET', K .. 'j:' .. job.id, 's', AVAILABLE, 'a', int(after.a), 'm', after.m)
  call('HDEL', K .. 'j:' .. job.id, 'z')
  call('DEL', K .. 'r:' .. job.id)
  index(after)
  settle_key(after, wanted)
  return { 'available' }
end

function functions.retry()
  local answers = {}
  for i = 1, take_number() do
    local job = load(take())
    answers[i] = job and retry(job) or { 'missing' }
  end
  return answers
end

function functions.pause()
  call('SADD', K .. 'paused', take())
  return 1
end

function functions.resume()
  local queue = take()
  if call('SREM', K .. 'paused', queue) == 1 then wake(queue) end
  return 1
end

-- A key outlives its job until its window is over; the server forgets it some time after that.
local FORGET_AFTER = 86400000

local function remove(job)
  if job.u then
    local key = unique_key(job)
    local ends = window_end(job)
    if ends and holds_key(job) then
      local left = math.ceil((ends - now) / 1000) + FORGET_AFTER
      call('SET', key, job.id .. ' ' .. job.uh .. ' ' .. int(ends), 'PX', int(left))
    elseif call('GET', key) == job.id then
      call('DEL', key)
    end
  end
  unindex(job)
  call('ZREM', K .. 'ids', job.id)
  local id = job.id
  call('UNLINK', K .. 'j:' .. id, K .. 'b:' .. id, K .. 'h:' .. id, K .. 'c:' .. id, K .. 'r:' .. id)
end

function functions.prune()
  local limit, earlier, newest = take_number(), take_some(), take_some()
  local pruned = 0
  for _ = 1, take_number() do
    local key = K .. 'o:' .. take()
    local most = 0
    if newest then most = math.max(call('ZCARD', key) - num(newest), 0) end
    if earlier then most = math.max(most, call('ZCOUNT', key, '-inf', '(' .. earlier)) end
    most = math.min(most, limit - pruned)
    if most > 0 then
      for _, handle in ipairs(call('ZRANGE', key, 0, most - 1)) do
        local job = load(id_of(handle))
        if job then remove(job) end
        pruned = pruned + 1
      end
    end
  end
  return pruned
end
