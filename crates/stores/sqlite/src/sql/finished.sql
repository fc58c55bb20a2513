-- Input: 1 before, 2 limit.
-- Output: seq, queue, state and outside of jobs that were over before that time, oldest first.
-- Guarantee: reads no more than `limit` entries of the finished index.
SELECT seq, queue, state, outside FROM longshore_job
WHERE state > 3 AND finished_at < ?1
ORDER BY finished_at LIMIT ?2
