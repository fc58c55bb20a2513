-- Input: as list.sql.
-- Output: as list.sql, of jobs that are over.
-- Guarantee: reads the index of those alone, and sorts them.
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job INDEXED BY longshore_job_over
WHERE state > 3 AND seq < ?1 AND ?2 IS ?2
ORDER BY seq DESC
