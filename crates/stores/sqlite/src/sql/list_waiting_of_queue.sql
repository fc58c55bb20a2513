-- Input: as list.sql; the queue is not NULL.
-- Output: as list.sql, of the waiting jobs of the queue.
-- Guarantee: reads its part of the index of claims alone, and sorts the jobs in it.
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job INDEXED BY longshore_job_waiting
WHERE queue = ?2 AND state < 3 AND seq < ?1
ORDER BY seq DESC
