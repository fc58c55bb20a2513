-- Input: as list.sql; the states are scheduled, retryable and available at most.
-- Output: seq of jobs that may match, newest first.
-- Guarantee: reads the jobs of the waiting index alone, and sorts them. A delayed job whose time
--   has come counts as available.
SELECT seq FROM longshore_job INDEXED BY longshore_job_waiting
WHERE state < 3 AND seq < ?1
    AND (?2 IS NULL OR queue = ?2)
    AND (?3 IS NULL OR kind = ?3)
    AND (1 << CASE WHEN state < 2 AND available_at <= ?5 THEN 2 ELSE state END) & ?4
    AND (NOT ?6 OR envelope IS NOT NULL)
ORDER BY seq DESC
