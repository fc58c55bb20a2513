-- Input: as list.sql, but 2 the states: 3 delayed, 32 cancelled, 64 discarded, or a sum of these.
-- Output: as list.sql, of the jobs in these states.
-- Guarantee: reads the indexes of those alone, and sorts the delayed ones.
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job
WHERE state = 5 AND state > 4 AND ?2 & 32 AND seq < ?1
UNION ALL
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job
WHERE state = 6 AND state > 4 AND ?2 & 64 AND seq < ?1
UNION ALL
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job INDEXED BY longshore_job_delayed
WHERE state < 2 AND ?2 & 3 AND seq < ?1
ORDER BY seq DESC
