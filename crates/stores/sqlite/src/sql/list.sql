-- Input: 1 seq to go on below, 2 queue or NULL, 3 whether to read the envelope, 4 whether to read
--   the history.
-- Output: what a listing looks at, of every job, newest first.
-- Guarantee: sorts nothing, so that who stops reading rows stops the work.
SELECT seq, queue, kind, state, enqueued_at, available_at, iif(?3, envelope, NULL),
    iif(?4, history, NULL), id
FROM longshore_job
WHERE seq < ?1 AND ?2 IS ?2
ORDER BY seq DESC
