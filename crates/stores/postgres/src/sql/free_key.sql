-- Input: queue, key, id.
-- Output: one row less if that job had the key.
DELETE FROM longshore.unique_key WHERE queue = $1 AND key = $2 AND id = $3
