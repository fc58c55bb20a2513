--
-- Administration
--

local function take_ids()
  local ids = {}
  for i = 1, take_number() do ids[i] = take() end
  fetch(ids)
  return ids
end

function functions.stop()
  local stop, answers = take_number(), {}
  for i, id in ipairs(take_ids()) do
    local job = load(id)
    if not job then
      answers[i] = -1
    else
      if job.s == RUNNING then
        job.v = stop
        save(job)
      elseif waits(job) then
        local wanted = wants_key(job)
        unindex(job)
        job.s, job.z = stopped(stop), now
        if job.ck then forget(K .. 'c:' .. id) end
        job.ck = nil
        save(job)
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
  local held_before, wanted, state = holds_key(job), wants_key(job), job.s
  job.s = AVAILABLE
  local wants_it_again = holds_key(job) and not held_before
  job.s = state
  if wants_it_again then
    local holder = holder_of(job)
    if holder then return { 'taken', holder.id } end
  end
  unindex(job)
  if is_over(job) or job.a > now then job.a = now end
  job.s, job.z, job.m = AVAILABLE, nil, math.max(job.m, job.n + 1)
  if job.rs then forget(K .. 'r:' .. job.id) end
  job.rs = nil
  save(job)
  index(job)
  settle_key(job, wanted)
  return { 'available' }
end

function functions.retry()
  local answers = {}
  for i, id in ipairs(take_ids()) do
    local job = load(id)
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
  drop(job.shelf, job.id)
  jobs[job.id] = false
  local id = job.id
  forget(K .. 'j:' .. id)
  forget(K .. 'b:' .. id)
  if job.h then forget(K .. 'h:' .. id) end
  if job.ck then forget(K .. 'c:' .. id) end
  if job.rs then forget(K .. 'r:' .. id) end
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
      local handles, ids = call('ZRANGE', key, 0, most - 1), {}
      for i, handle in ipairs(handles) do ids[i] = id_of(handle) end
      fetch(ids)
      for i, id in ipairs(ids) do
        if jobs[id] then
          remove(jobs[id])
        else
          -- The server deleted it: what is left of it goes too.
          drop(key, handles[i])
        end
      end
      pruned = pruned + #ids
    end
  end
  return pruned
end
