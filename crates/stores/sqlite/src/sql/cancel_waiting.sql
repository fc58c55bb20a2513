-- Input: 1 seq, 2 now, 3 which values still lie outside.
-- Output: one changed row.
-- Guarantee: the job is final.
UPDATE longshore_job SET state = 5, finished_at = ?2, outside = ?3 WHERE seq = ?1
