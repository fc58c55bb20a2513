-- Input: as list.sql.
-- Output: as list.sql, of waiting jobs.
-- Guarantee: reads the index of claims alone, and sorts the jobs in it.
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job INDEXED BY longshore_job_waiting
WHERE state < 3 AND seq < ?1 AND ?2 IS ?2
ORDER BY seq DESC
