-- Input: 1 now, 2 limit.
-- Output: seq of running jobs whose lease has expired, the longest expired first.
-- Guarantee: reads the lease index alone.
SELECT seq FROM longshore_job
WHERE state = 3 AND lease_expires_at < ?1
ORDER BY lease_expires_at, seq LIMIT ?2
