--
-- Unique keys
--
-- u:<queue>|<key>  the id of the job that has it; of one that was pruned also its hash and until when
--
-- us is 0 for a key that is held until the job is over, 1 until its first claim, and else the
-- length of the window.

local function unique_key(job) return K .. 'u:' .. job.q .. '|' .. job.u end

-- Whether the job has its key unless its window is over.
local function wants_key(job)
  if not job.u then return false end
  if job.us == 0 then return not is_over(job) end
  if job.us == 1 then return not is_over(job) and job.c == 0 end
  return job.s ~= CANCELLED and job.s ~= DISCARDED
end

local function window_end(job)
  if job.u and job.us > 1 then return job.e + job.us end
end

local function holds_key(job)
  local ends = window_end(job)
  return wants_key(job) and (ends == nil or now < ends)
end

-- Who has the key that `job` wants: a job, or what is left of one that was pruned.
local function holder_of(job)
  local entry = call('GET', unique_key(job))
  if not entry then return nil end
  local id, hash, ends = entry:match('^(%S+) (%S+) (%S+)$')
  if id then
    if now < num(ends) then return { id = id, uh = hash, pruned = true } end
    return nil
  end
  local holder = load(entry)
  if holder and holder.q == job.q and holder.u == job.u and holds_key(holder) then return holder end
  return nil
end

-- After a job changed: it takes its key if nobody has it, or lets go of it.
local function settle_key(job, wanted)
  if not job.u then return end
  local key = unique_key(job)
  local wants = wants_key(job)
  if wants and not wanted then
    if not holder_of(job) then call('SET', key, job.id) end
  elseif wanted and not wants and call('GET', key) == job.id then
    call('DEL', key)
  end
end
