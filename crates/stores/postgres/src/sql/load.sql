-- Input: ids.
-- Output: the jobs, over or not.
SELECT {job} FROM longshore.job AS j WHERE j.id = ANY ($1)
UNION ALL
SELECT {job} FROM longshore.job_over AS j WHERE j.id = ANY ($1)
