--
-- Jobs
--
-- j:<id>                the record: what changes, and what the functions need, packed
-- b:<id>                the envelope, `el` bytes, and then the args
-- h:<id>                ended attempts but the last, oldest first
-- c:<id>                the checkpoint
-- r:<id>                the result
-- s:<queue>|<state>     handles of jobs that are stored as not due, by due time
-- leases                handles of running jobs, by the end of the lease
-- o:<state>             handles of jobs that are over, by when
-- i:<queue>|<shelf>     ids by number: a shelf is a state, or `w` for available and running alike
-- n                     a hash: how many jobs of a queue are in a state
-- gone                  ids of jobs whose record was found gone, by when: the last 1000

-- A record is an array; row.rs reads it too. What is missing is false.
local function unpacked(id, record)
  local v = cmsgpack.unpack(record)
  return { id = id, record = record, q = v[1], k = v[2], t = v[3], p = v[4], s = v[5], n = v[6],
    c = v[7], m = v[8], e = v[9], f = v[10], a = v[11], i = v[12], el = v[13], u = v[14] or nil,
    uh = v[15] or nil, us = v[16] or nil, kp = v[17] or nil, z = v[18] or nil, w = v[19] or nil,
    y = v[20] or nil, l = v[21] or nil, x = v[22] or nil, v = v[23] or nil, g = v[24] or nil,
    last = v[25] or nil, h = v[26], ck = v[27], rs = v[28] }
end

local function packed(job)
  if not job.record then
    job.record = cmsgpack.pack({ job.q, job.k, job.t, job.p, job.s, job.n, job.c, job.m, job.e,
      job.f, job.a, job.i, job.el, job.u or false, job.uh or false, job.us or false,
      job.kp or false, job.z or false, job.w or false, job.y or false, job.l or false,
      job.x or false, job.v or false, job.g or false, job.last or false, job.h or false,
      job.ck or false, job.rs or false })
  end
  return job.record
end

-- The values of many keys that begin alike.
local function values_of(kind, ids)
  local values, prefix = {}, K .. kind
  for from = 1, #ids, MOST do
    local keys = {}
    for i = from, math.min(from + MOST - 1, #ids) do keys[#keys + 1] = prefix .. ids[i] end
    for i, value in ipairs(call('MGET', unpack(keys))) do values[from + i - 1] = value end
  end
  return values
end

-- Reads those jobs that this call does not know yet.
local function fetch(ids)
  local unknown = {}
  for _, id in ipairs(ids) do
    if jobs[id] == nil then
      jobs[id] = false
      unknown[#unknown + 1] = id
    end
  end
  for i, record in ipairs(values_of('j:', unknown)) do
    if record then jobs[unknown[i]] = unpacked(unknown[i], record) end
  end
end

local function load(id)
  if jobs[id] == nil then fetch({ id }) end
  return jobs[id] or nil
end

-- The jobs of these handles. `is_gone` is told the place of each whose record is not there, or is
-- that of a later job with its id: the server evicted it, or somebody deleted it. An error for one
-- that is there, but not as this version writes it.
local function load_there(handles, is_gone)
  local ids, found = {}, {}
  for i, handle in ipairs(handles) do ids[i] = id_of(handle) end
  fetch(ids)
  for i, handle in ipairs(handles) do
    local job = jobs[ids[i]]
    if job and job.i == number_of(handle) then
      job.handle = handle
      found[#found + 1] = job
    elseif not job and call('EXISTS', K .. 'j:' .. ids[i]) == 1 then
      return redis.error_reply('CORRUPT job ' .. ids[i] .. ' is not as this version writes it')
    else
      is_gone(i)
    end
  end
  return found
end

-- What was changed in a job is to be written.
local function save(job)
  job.record = nil
  if not job.dirty then
    job.dirty = true
    dirty[#dirty + 1] = job
  end
end

local function flush_jobs()
  for _, job in ipairs(dirty) do
    if jobs[job.id] then write(K .. 'j:' .. job.id, packed(job)) end
  end
  call_with(texts, 'MSET')
  call_with(gone, 'UNLINK')
end

local function waits(job) return job.s <= AVAILABLE end
local function is_over(job) return job.s >= COMPLETED end

local function shelf_of(job)
  local shelf = (job.s == AVAILABLE or job.s == RUNNING) and 'w' or job.s
  local of = shelves[job.q]
  if not of then
    of = {}
    shelves[job.q] = of
  end
  if not of[shelf] then of[shelf] = K .. 'i:' .. job.q .. '|' .. shelf end
  return of[shelf]
end

-- Notes for `longshore doctor` that the record of a job is gone, and forgets where it stood, so that
-- others go on. Its envelope and args stay: nobody has asked to delete them.
local function note_gone(queue, state, handle)
  local id, key = id_of(handle), K .. 'gone'
  if queue then
    count(queue, state, -1)
    if not jobs[id] then drop(shelf_of({ q = queue, s = state }), id) end
  end
  call('ZADD', key, int(now), id)
  call('ZREMRANGEBYRANK', key, 0, -MOST - 1)
end

-- Puts a job where those of its state are.
local function index(job)
  local handle = handle_of(job)
  count(job.q, job.s, 1)
  local shelf = shelf_of(job)
  if job.shelf ~= shelf then
    if job.shelf then drop(job.shelf, job.id) end
    put(shelf, job.id, job.i)
    job.shelf = shelf
  end
  if waits(job) then
    put(touch(job).key, handle, job.a)
    if job.s ~= AVAILABLE then put(K .. 's:' .. job.q .. '|' .. job.s, handle, job.a) end
  elseif job.s == RUNNING then
    put(K .. 'leases', handle, job.l)
  else
    put(K .. 'o:' .. job.s, handle, job.z)
  end
end

local function unindex(job)
  local handle = handle_of(job)
  count(job.q, job.s, -1)
  job.shelf = shelf_of(job)
  if waits(job) then
    drop(touch(job).key, handle)
    if job.s ~= AVAILABLE then drop(K .. 's:' .. job.q .. '|' .. job.s, handle) end
  elseif job.s == RUNNING then
    drop(K .. 'leases', handle)
  else
    drop(K .. 'o:' .. job.s, handle)
  end
end

-- Whole rows: the record, the body or only the envelope, history, checkpoint, result.
local function rows_of(list, lean)
  local rows, bodies = {}, {}
  if not lean then
    local ids = {}
    for i, job in ipairs(list) do ids[i] = job.id end
    bodies = values_of('b:', ids)
  end
  for i, job in ipairs(list) do
    local id = job.id
    local body = bodies[i] or lean and call('GETRANGE', K .. 'b:' .. id, 0, job.el - 1)
    local earlier = job.h and call('LRANGE', K .. 'h:' .. id, 0, -1)
    local checkpoint = job.ck and call('GET', K .. 'c:' .. id)
    local result = job.rs and call('GET', K .. 'r:' .. id)
    rows[i] = { id, packed(job), body or false, earlier or {}, checkpoint or false, result or false }
  end
  return rows
end

local function envelope(job)
  return job.envelope or call('GETRANGE', K .. 'b:' .. job.id, 0, job.el - 1)
end
