-- Input: 1 queue, 2 priority.
-- Output: when the first waiting job is due; NULL if none waits.
-- Guarantee: one entry of the waiting index is read.
SELECT min(available_at) FROM longshore_job
WHERE state < 3 AND queue = ?1 AND priority = ?2
