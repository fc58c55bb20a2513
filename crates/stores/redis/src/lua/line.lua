--
-- Lines: the waiting jobs of a queue, priority, kind and tenant.
--
-- l:<queue>|<priority>|<kind>|<tenant>  handles by due time
-- d:<queue>|<priority>                  of each line its first job: number and line, by due time
-- t:<queue>                             the lines, by tenant
--
-- A handle is the job's number, 13 digits, and its id.

local function handle_of(job)
  if not job.handle then job.handle = string.format('%013.0f', job.i) .. job.id end
  return job.handle
end

local function number_of(handle) return num(handle:sub(1, 13)) end
local function id_of(handle) return handle:sub(14) end

-- A tenant such that no name is the beginning of another, in the same order.
local function ended(tenant) return (tenant:gsub('%z', '\0\1')) .. '\0\0' end

local function first_of(key)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[1] then return first[1], num(first[2]) end
end

local function line_key(line)
  return K .. 'l:' .. line.q .. '|' .. line.p .. '|' .. line.k .. '|' .. line.t
end

-- The line of a job that is about to come, go or move: `first` and `first_due` are as before this call.
local function touch(job)
  if job.line then return job.line end
  local key = line_key(job)
  local line = lines[key]
  if not line then
    line = { key = key, q = job.q, p = job.p, k = job.k, t = job.t }
    line.first, line.first_due = first_of(key)
    lines[key] = line
  end
  job.line = line
  return line
end

local function wake(queue)
  if not woken[queue] then
    woken[queue] = true
    call('PUBLISH', K .. 'wake', queue)
  end
end

-- The first job of a line once its changes are written. Only one that went makes another read.
local function first_now(line, changes)
  local first, due = line.first, line.first_due
  if first and changes[first] ~= nil then return first_of(line.key) end
  for handle, score in pairs(changes) do
    if score and (not due or score < due
        or (score == due and number_of(handle) < number_of(first))) then
      first, due = handle, score
    end
  end
  return first, due
end

-- Brings the directories up to date with the lines, whose changes are written.
local function flush_lines()
  local changed = sets
  sets = {}
  for key, line in pairs(lines) do
    local first, due
    if line.is_known then
      first, due = line.after, line.after_due
    else
      first, due = first_now(line, changed[key] or {})
    end
    if line.first ~= first or line.first_due ~= due then
      local heads = K .. 'd:' .. line.q .. '|' .. line.p
      local name = line.k .. '|' .. line.t
      if line.first then drop(heads, line.first:sub(1, 13) .. name) end
      if first then put(heads, first:sub(1, 13) .. name, due) end
      if (line.first == nil) ~= (first == nil) then
        local by_tenant = ended(line.t) .. line.k .. '|' .. line.p
        if first then
          put(K .. 't:' .. line.q, by_tenant, 0)
        else
          drop(K .. 't:' .. line.q, by_tenant)
        end
      end
      if due and (line.first_due == nil or due < line.first_due) then wake(line.q) end
    end
  end
  flush_sets()
end
