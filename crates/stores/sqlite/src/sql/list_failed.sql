-- Input: as list.sql, but 2 the states: 32 cancelled, 64 discarded, or their sum.
-- Output: as list.sql, of the jobs in these states.
-- Guarantee: reads the index of those alone, and sorts nothing.
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job
WHERE state = 5 AND state > 4 AND ?2 & 32 AND seq < ?1
UNION ALL
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job
WHERE state = 6 AND state > 4 AND ?2 & 64 AND seq < ?1
ORDER BY seq DESC
