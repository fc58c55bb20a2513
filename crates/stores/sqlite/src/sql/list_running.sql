-- Input: as list.sql; the state is running.
-- Output: seq of jobs that may match, newest first.
-- Guarantee: reads the jobs of the lease index alone, and sorts them.
SELECT seq FROM longshore_job INDEXED BY longshore_job_lease
WHERE state = 3 AND seq < ?1
    AND (?2 IS NULL OR queue = ?2)
    AND (?3 IS NULL OR kind = ?3)
    AND ?4 & 8 AND ?5 = ?5
    AND (NOT ?6 OR envelope IS NOT NULL)
ORDER BY seq DESC
