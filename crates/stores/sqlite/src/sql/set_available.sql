-- Input: 1 seq.
-- Output: one changed row.
-- Guarantee: only the state changes; due time and place in line stay.
UPDATE longshore_job SET state = 2 WHERE seq = ?1
