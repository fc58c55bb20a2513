--
-- From the first layout to the second
--
-- In the first, a job was a hash `j:<id>` of which each field was a value, `h:<id>` had all ended
-- attempts, and `ids` every job by number. `ids` is there for as long as a job is in the old form.

local function old_job(id)
  local fields = call('HGETALL', K .. 'j:' .. id)
  if not fields[1] then return nil end
  local job = { id = id, t = '' }
  for i = 1, #fields, 2 do job[fields[i]] = fields[i + 1] end
  for _, field in ipairs({ 'p', 's', 'n', 'c', 'm', 'e', 'f', 'a', 'i', 'el', 'us', 'z', 'y', 'l',
    'x', 'v', 'g' }) do
    job[field] = job[field] and num(job[field])
  end
  if job.v == 0 then job.v = nil end
  job.last = call('RPOP', K .. 'h:' .. id) or nil
  job.h = call('EXISTS', K .. 'h:' .. id) == 1
  job.ck = call('EXISTS', K .. 'c:' .. id) == 1
  job.rs = call('EXISTS', K .. 'r:' .. id) == 1
  return job
end

function functions.upgrade()
  local limit = take_number()
  for _, id in ipairs(call('ZRANGE', K .. 'ids', 0, limit - 1)) do
    local job = old_job(id)
    if job then
      call('DEL', K .. 'j:' .. id)
      jobs[id] = job
      save(job)
      put(shelf_of(job), id, job.i)
    end
    drop(K .. 'ids', id)
  end
  flush_sets()
  sets = {}
  return call('EXISTS', K .. 'ids')
end
