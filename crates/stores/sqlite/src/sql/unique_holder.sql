-- Input: 1 queue, 2 unique key.
-- Output: the job that has the key, if one does: seq, id, hash, kind, state, unique_for,
--   enqueued_at, envelope.
-- Guarantee: at most one row. Whether its window is over is for the caller to tell.
SELECT seq, id, unique_hash, kind, state, unique_for, enqueued_at, envelope FROM longshore_job
WHERE queue = ?1 AND unique_key = ?2 AND unique_key IS NOT NULL AND CASE
    WHEN unique_for IS NULL THEN state < 4
    WHEN unique_for = 0 THEN state < 4 AND claim = 0
    ELSE unique_for > 0 AND state < 5 END
