-- Input: 1 queue, 2 now.
-- Output: state and number of jobs that still stand as delayed although their time has come.
-- Guarantee: reads the delayed index alone.
SELECT state, count(*) FROM longshore_job
WHERE state < 2 AND queue = ?1 AND available_at <= ?2
GROUP BY state
