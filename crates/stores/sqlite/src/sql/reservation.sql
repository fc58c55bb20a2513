-- Input: 1 queue, 2 unique key, 3 now.
-- Output: id and hash of the pruned job whose window the key is still in, if there is one.
-- Guarantee: at most one row.
SELECT id, unique_hash FROM longshore_reservation
WHERE queue = ?1 AND unique_key = ?2 AND until > ?3
