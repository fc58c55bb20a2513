-- Input: a queue.
-- Output: it is not paused.
DELETE FROM longshore.paused WHERE queue = $1
