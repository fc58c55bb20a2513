-- Input: the time, how many.
-- Output: so many keys less whose windows are over.
DELETE FROM longshore.unique_key WHERE (queue, key) IN (
    SELECT queue, key FROM longshore.unique_key WHERE until <= $1 LIMIT $2 FOR UPDATE SKIP LOCKED
)
