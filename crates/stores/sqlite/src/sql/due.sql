-- Input: 1 queue, 2 priority, 3 now, 4 limit.
-- Output: due time and seq of the jobs that may be claimed, in the order of claims.
-- Guarantee: reads the waiting index alone, at most `limit` entries of it.
SELECT available_at, seq FROM longshore_job
WHERE state < 3 AND queue = ?1 AND priority = ?2 AND available_at <= ?3
ORDER BY available_at, seq LIMIT ?4
