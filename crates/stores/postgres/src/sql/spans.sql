-- Input: ids.
-- Output: id and envelope of those jobs that are there.
SELECT j.id, j.envelope FROM longshore.job AS j WHERE j.id = ANY ($1)
UNION ALL
SELECT j.id, j.envelope FROM longshore.job_over AS j WHERE j.id = ANY ($1)
