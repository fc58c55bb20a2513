-- Input: 1 seq.
-- Output: one deleted row.
-- Guarantee: large values are deleted apart, by the caller.
DELETE FROM longshore_job WHERE seq = ?1
