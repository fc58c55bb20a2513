-- Input: 1 seq to go on below, 2 queue or NULL, 3 kind or NULL, 4 bit mask of states,
--   5 now, 6 whether the envelope must hold something.
-- Output: seq of jobs that may match, newest first.
-- Guarantee: a delayed job whose time has come counts as available.
SELECT seq FROM longshore_job
WHERE seq < ?1
    AND (?2 IS NULL OR queue = ?2)
    AND (?3 IS NULL OR kind = ?3)
    AND (1 << CASE WHEN state < 2 AND available_at <= ?5 THEN 2 ELSE state END) & ?4
    AND (NOT ?6 OR envelope IS NOT NULL)
ORDER BY seq DESC
