-- Input: 1 queue, 2 to 8 by how much the count of each state changes, in the order of states.
-- Output: one row, new or changed.
-- Guarantee: in the transaction of the transitions it counts, so counts are exact.
INSERT INTO longshore_queue (
    name, scheduled, retryable, available, running, completed, cancelled, discarded
) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
ON CONFLICT (name) DO UPDATE SET
    scheduled = scheduled + excluded.scheduled,
    retryable = retryable + excluded.retryable,
    available = available + excluded.available,
    running = running + excluded.running,
    completed = completed + excluded.completed,
    cancelled = cancelled + excluded.cancelled,
    discarded = discarded + excluded.discarded
