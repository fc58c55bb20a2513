-- Input: 1 job id.
-- Output: its seq, if the job is there.
-- Guarantee: at most one row.
SELECT seq FROM longshore_job WHERE id = ?1
