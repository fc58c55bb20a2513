-- Input: 1 key.
-- Output: at most one deleted row.
-- Guarantee: no value is left under the key.
DELETE FROM longshore_blob WHERE key = ?1
