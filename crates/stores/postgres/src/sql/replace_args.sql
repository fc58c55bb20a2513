-- Input: seq, hash, state, priority, available_at, first_available_at or NULL to leave it, args.
-- Output: one changed row, and one key with the new hash.
-- Guarantee: the job keeps its id, its attempts and its envelope; its checkpoint goes.
WITH replaced AS (
    UPDATE longshore.job SET
        unique_hash = $2, state = $3, priority = $4, available_at = $5,
        first_available_at = coalesce($6, first_available_at), args = $7, checkpoint = NULL
    WHERE seq = $1
    RETURNING queue, unique_key, id
)
UPDATE longshore.unique_key AS k SET hash = $2 FROM replaced AS r
WHERE k.queue = r.queue AND k.key = r.unique_key AND k.id = r.id
