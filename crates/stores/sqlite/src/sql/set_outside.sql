-- Input: 1 seq, 2 which values lie outside.
-- Output: one changed row.
-- Guarantee: nothing else of the job changes.
UPDATE longshore_job SET outside = ?2 WHERE seq = ?1
