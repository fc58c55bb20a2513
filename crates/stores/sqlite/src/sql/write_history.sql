-- Input: 1 seq, 2 history.
-- Output: one changed row.
-- Guarantee: nothing else of the job changes.
UPDATE longshore_job SET history = ?2 WHERE seq = ?1
