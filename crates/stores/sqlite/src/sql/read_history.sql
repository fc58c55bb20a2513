-- Input: 1 seq.
-- Output: the history of the job as text.
-- Guarantee: at most one row.
SELECT history FROM longshore_job WHERE seq = ?1
