-- Input: 1 queue, 2 kind, 3 lane, 4 now, 5 limit, 6 how many to pass over, 7 whether to look at the
--   tenants.
-- Output: due time, seq and, if that was asked for, tenant of the jobs of a line that may be
--   claimed, in the order of claims.
-- Guarantee: reads the waiting index alone, at most as many entries as it gives and passes over;
--   the tenants take a look at each row.
SELECT available_at, seq, CASE WHEN ?7 THEN tenant END
FROM longshore_job INDEXED BY longshore_job_waiting
WHERE state < 3 AND queue = ?1 AND kind = ?2
    AND CASE WHEN tenant IS NULL THEN priority ELSE priority + 4 END = ?3
    AND available_at <= ?4
ORDER BY available_at, seq LIMIT ?5 OFFSET ?6
