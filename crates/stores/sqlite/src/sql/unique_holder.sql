-- Input: 1 queue, 2 unique key.
-- Output: id and hash of the unfinished job that has the key, if one does.
-- Guarantee: at most one row.
SELECT id, unique_hash FROM longshore_job
WHERE queue = ?1 AND unique_key = ?2 AND unique_key IS NOT NULL AND state < 4
