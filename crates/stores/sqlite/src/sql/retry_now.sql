-- Input: 1 seq, 2 available_at, 3 max_attempts, 4 which values still lie outside.
-- Output: one changed row.
-- Guarantee: the job waits and its result is gone.
UPDATE longshore_job SET
    state = 2, available_at = ?2, max_attempts = ?3, outside = ?4, finished_at = NULL,
    result = NULL
WHERE seq = ?1
