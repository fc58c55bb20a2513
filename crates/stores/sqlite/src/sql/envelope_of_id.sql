-- Input: 1 job id.
-- Output: its envelope, if the job is there.
-- Guarantee: at most one row.
SELECT envelope FROM longshore_job WHERE id = ?1
