-- Input: 1 seq, 2 the final state, 3 now, 4 which values still lie outside.
-- Output: one changed row.
-- Guarantee: the job is final.
UPDATE longshore_job SET state = ?2, finished_at = ?3, outside = ?4 WHERE seq = ?1
