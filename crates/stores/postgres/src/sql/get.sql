-- Input: the time or NULL, an id.
-- Output: the time and the job, if it is there.
-- Guarantee: one state of the store, so that a job which ends meanwhile is found.
SELECT longshore.time_of($1), {job} FROM longshore.job AS j WHERE j.id = $2
UNION ALL
SELECT longshore.time_of($1), {job} FROM longshore.job_over AS j WHERE j.id = $2
LIMIT 1
