--
-- Jobs
--
-- j:<id>  a hash: what changes, and what the functions need
-- b:<id>  the envelope, `el` bytes, and then the args
-- h:<id>  ended attempts, oldest first
-- c:<id>  the checkpoint
-- r:<id>  the result

local FIELDS = { 'q', 'k', 't', 'p', 's', 'n', 'c', 'm', 'e', 'f', 'a', 'u', 'uh', 'us', 'w', 'y',
  'l', 'x', 'v', 'i', 'el', 'z' }
local NUMBERS = { 'p', 's', 'n', 'c', 'm', 'e', 'f', 'a', 'y', 'l', 'v', 'i', 'el', 'z' }

local function load(id)
  local values = call('HMGET', K .. 'j:' .. id, unpack(FIELDS))
  if not values[1] then return nil end
  local job = { id = id }
  for i, field in ipairs(FIELDS) do job[field] = values[i] or nil end
  for _, field in ipairs(NUMBERS) do
    if job[field] then job[field] = num(job[field]) end
  end
  job.t = job.t or ''
  return job
end

-- The jobs of these handles, or an error before anything is written: what is not there was taken
-- by the server, or by somebody.
local function load_all(handles, where)
  local jobs = {}
  for i, handle in ipairs(handles) do
    jobs[i] = load(id_of(handle))
    if not jobs[i] then
      return redis.error_reply('CORRUPT job ' .. id_of(handle) .. ' ' .. where .. ', but is not there')
    end
  end
  return jobs
end

local function waits(job) return job.s <= AVAILABLE end
local function is_over(job) return job.s >= COMPLETED end

-- Puts a job where those of its state are.
local function index(job)
  local handle = handle_of(job)
  count(job.q, job.s, 1)
  if waits(job) then
    call('ZADD', touch(job).key, int(job.a), handle)
    if job.s ~= AVAILABLE then
      call('ZADD', K .. 's:' .. job.q .. '|' .. job.s, int(job.a), handle)
    end
  elseif job.s == RUNNING then
    call('ZADD', K .. 'leases', int(job.l), handle)
  else
    call('ZADD', K .. 'o:' .. job.s, int(job.z), handle)
  end
end

local function unindex(job)
  local handle = handle_of(job)
  count(job.q, job.s, -1)
  if waits(job) then
    call('ZREM', touch(job).key, handle)
    if job.s ~= AVAILABLE then
      call('ZREM', K .. 's:' .. job.q .. '|' .. job.s, handle)
    end
  elseif job.s == RUNNING then
    call('ZREM', K .. 'leases', handle)
  else
    call('ZREM', K .. 'o:' .. job.s, handle)
  end
end

-- The whole row: the hash, the body or only the envelope, history, checkpoint, result.
local function row(id, lean)
  local fields = call('HGETALL', K .. 'j:' .. id)
  if not fields[1] then return false end
  local claims, length = 0, 0
  for i = 1, #fields, 2 do
    if fields[i] == 'c' then claims = num(fields[i + 1]) end
    if fields[i] == 'el' then length = num(fields[i + 1]) end
  end
  local body
  if lean then
    body = call('GETRANGE', K .. 'b:' .. id, 0, length - 1)
  else
    body = call('GET', K .. 'b:' .. id)
  end
  if claims == 0 then return { id, fields, body, {}, false, false } end
  local history = call('LRANGE', K .. 'h:' .. id, 0, -1)
  local more = call('MGET', K .. 'c:' .. id, K .. 'r:' .. id)
  return { id, fields, body, history, more[1], more[2] }
end

local function envelope(job)
  return call('GETRANGE', K .. 'b:' .. job.id, 0, job.el - 1)
end
