-- Input: as list.sql; the states are cancelled and discarded at most.
-- Output: seq of jobs that may match, newest first.
-- Guarantee: reads the entries of the failed index in the asked states, and sorts none.
SELECT seq FROM longshore_job
WHERE state = 5 AND state > 4 AND ?4 & 32 AND seq < ?1
    AND (?2 IS NULL OR queue = ?2)
    AND (?3 IS NULL OR kind = ?3)
    AND (NOT ?6 OR envelope IS NOT NULL)
UNION ALL
SELECT seq FROM longshore_job
WHERE state = 6 AND state > 4 AND ?4 & 64 AND seq < ?1
    AND (?2 IS NULL OR queue = ?2)
    AND (?3 IS NULL OR kind = ?3)
    AND (NOT ?6 OR envelope IS NOT NULL)
    AND ?5 = ?5
ORDER BY seq DESC
