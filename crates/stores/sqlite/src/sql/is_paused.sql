-- Input: 1 queue.
-- Output: whether it is paused; no row if nothing is known of it.
-- Guarantee: at most one row.
SELECT paused FROM longshore_queue WHERE name = ?1
