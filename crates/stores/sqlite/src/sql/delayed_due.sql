-- Input: 1 queue, 2 now, 3 limit.
-- Output: seq and state of jobs that still stand as delayed although their time has come.
-- Guarantee: reads the delayed index alone.
SELECT seq, state FROM longshore_job
WHERE state < 2 AND queue = ?1 AND available_at <= ?2
ORDER BY available_at LIMIT ?3
