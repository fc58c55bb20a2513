-- Input: 1 key.
-- Output: the value, if there is one.
-- Guarantee: at most one row.
SELECT body FROM longshore_blob WHERE key = ?1
