-- Input: 1 queue, 2 kind, 3 lane, 4 whether to look at the tenant.
-- Output: the line after that one: its kind, lane, and the due time, seq and, if that was asked for,
--   tenant of its first job.
-- Guarantee: at most two looks at the waiting index, however many jobs wait; the tenant takes
--   one at the row.
SELECT * FROM (
    SELECT kind, CASE WHEN tenant IS NULL THEN priority ELSE priority + 4 END AS lane,
        available_at, seq, CASE WHEN ?4 THEN tenant END
    FROM longshore_job INDEXED BY longshore_job_waiting
    WHERE state < 3 AND queue = ?1 AND kind = ?2
        AND CASE WHEN tenant IS NULL THEN priority ELSE priority + 4 END > ?3
    ORDER BY lane, available_at, seq LIMIT 1
) UNION ALL SELECT * FROM (
    SELECT kind, CASE WHEN tenant IS NULL THEN priority ELSE priority + 4 END AS lane,
        available_at, seq, CASE WHEN ?4 THEN tenant END
    FROM longshore_job INDEXED BY longshore_job_waiting
    WHERE state < 3 AND queue = ?1 AND kind > ?2
    ORDER BY kind, lane, available_at, seq LIMIT 1
) LIMIT 1
