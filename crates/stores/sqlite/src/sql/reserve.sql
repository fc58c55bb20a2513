-- Input: 1 seq of a job that goes, 2 now.
-- Output: one row, new or replaced, if the job's window is not over; else none.
-- Guarantee: the key stays taken until the window is over.
INSERT OR REPLACE INTO longshore_reservation (queue, unique_key, unique_hash, id, until)
SELECT queue, unique_key, unique_hash, id, enqueued_at + unique_for FROM longshore_job
WHERE seq = ?1 AND unique_key IS NOT NULL AND unique_hash IS NOT NULL AND unique_for > 0
    AND state = 4 AND enqueued_at + unique_for > ?2 AND typeof(enqueued_at + unique_for) = 'integer'
