--
-- Lines: the waiting jobs of a queue, priority, kind and tenant.
--
-- l:<queue>|<priority>|<kind>|<tenant>  handles by due time
-- d:<queue>|<priority>                  of each line its first job: number and line, by due time
-- t:<queue>                             the lines, by tenant
--
-- A handle is the job's number, 13 digits, and its id.

local function handle_of(job) return string.format('%013.0f', job.i) .. job.id end
local function number_of(handle) return num(handle:sub(1, 13)) end
local function id_of(handle) return handle:sub(14) end

-- A tenant such that no name is the beginning of another, in the same order.
local function ended(tenant) return (tenant:gsub('%z', '\0\1')) .. '\0\0' end

local function first_of(key)
  local first = call('ZRANGE', key, 0, 0, 'WITHSCORES')
  if first[1] then return num(first[2]), number_of(first[1]) end
end

-- The line of a job that is about to come, go or move.
local function touch(job)
  local key = K .. 'l:' .. job.q .. '|' .. job.p .. '|' .. job.k .. '|' .. job.t
  local line = lines[key]
  if not line then
    line = { key = key, q = job.q, p = job.p, k = job.k, t = job.t }
    line.due, line.number = first_of(key)
    lines[key] = line
  end
  return line
end

local function wake(queue)
  if not woken[queue] then
    woken[queue] = true
    call('PUBLISH', K .. 'wake', queue)
  end
end

-- Brings the directories up to date with the lines that were touched.
local function flush_lines()
  for key, line in pairs(lines) do
    local due, number = first_of(key)
    local heads = K .. 'd:' .. line.q .. '|' .. line.p
    local name = line.k .. '|' .. line.t
    if line.due ~= due or line.number ~= number then
      if line.due then
        call('ZREM', heads, string.format('%013.0f', line.number) .. name)
      end
      if due then
        call('ZADD', heads, int(due), string.format('%013.0f', number) .. name)
      end
      if (line.due == nil) ~= (due == nil) then
        local by_tenant = ended(line.t) .. line.k .. '|' .. line.p
        if due then
          call('ZADD', K .. 't:' .. line.q, 0, by_tenant)
        else
          call('ZREM', K .. 't:' .. line.q, by_tenant)
        end
      end
      if due and (line.due == nil or due < line.due) then wake(line.q) end
    end
  end
end

local function count(queue, state, by)
  local field = queue .. '|' .. state
  counts[field] = (counts[field] or 0) + by
end

local function flush_counts()
  for field, by in pairs(counts) do
    if by ~= 0 and call('HINCRBY', K .. 'n', field, by) == 0 then
      call('HDEL', K .. 'n', field)
    end
  end
end
