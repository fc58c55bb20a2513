-- Input: a queue.
-- Output: it is paused.
INSERT INTO longshore.paused (queue) VALUES ($1) ON CONFLICT DO NOTHING
