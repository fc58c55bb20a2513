--
-- import
--

-- A job as another store had it: it does not run.
local function read_arriving()
  local job = { id = take(), q = take(), k = take(), t = take(), p = take_number(), s = take_number(),
    n = take_number(), c = take_number(), m = take_number(), e = take_number(), f = take_number(),
    a = take_number(), z = num(take()), kp = take_some(), u = take_some(), uh = take_some() }
  job.us = take_number()
  if not job.u then job.us = nil end
  job.last, job.earlier = take_some(), {}
  for i = 1, take_number() do job.earlier[i] = take() end
  job.ck, job.checkpoint = take() == '1', take()
  job.rs, job.result = take() == '1', take()
  job.envelope, job.args = take(), take()
  return job
end

local function bring(job)
  if load(job.id) then return { 'present' } end
  if holds_key(job) then
    local holder = holder_of(job)
    if holder then return { 'taken', holder.id } end
    call('SET', unique_key(job), job.id)
  end
  if job.s == AVAILABLE and job.a > now then
    job.s = job.n == 0 and SCHEDULED or RETRYABLE
  end
  job.i, job.el = next_number(), #job.envelope
  if job.earlier[1] then
    call('RPUSH', K .. 'h:' .. job.id, unpack(job.earlier))
    job.h = true
  end
  if job.ck then write(K .. 'c:' .. job.id, job.checkpoint) end
  if job.rs then write(K .. 'r:' .. job.id, job.result) end
  write(K .. 'b:' .. job.id, job.envelope .. job.args)
  jobs[job.id] = job
  save(job)
  index(job)
  return { 'stored' }
end

function functions.import()
  local arriving, ids, answers = {}, {}, {}
  for i = 1, take_number() do
    arriving[i] = read_arriving()
    ids[i] = arriving[i].id
  end
  fetch(ids)
  expected = #arriving
  for i, job in ipairs(arriving) do answers[i] = bring(job) end
  return answers
end
