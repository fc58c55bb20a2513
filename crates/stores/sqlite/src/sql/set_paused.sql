-- Input: 1 queue, 2 whether it is paused.
-- Output: one row, new or changed.
-- Guarantee: the counts stay.
INSERT INTO longshore_queue (name, paused) VALUES (?1, ?2)
ON CONFLICT (name) DO UPDATE SET paused = excluded.paused
