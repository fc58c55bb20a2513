-- Input: 1 a final state, 2 limit.
-- Output: seq, queue, finished_at and outside of jobs in it, the longest over first.
-- Guarantee: reads no more than `limit` entries of the index of jobs that are over.
SELECT seq, queue, finished_at, outside FROM longshore_job
WHERE state = ?1 AND state > 3
ORDER BY finished_at, seq LIMIT ?2
