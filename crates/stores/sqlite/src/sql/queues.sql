-- Input: nothing.
-- Output: every queue with its counts by written state, by name.
-- Guarantee: reads one row per queue, however many jobs there are.
SELECT
    name, paused, scheduled, retryable, available, running, completed, cancelled, discarded
FROM longshore_queue ORDER BY name
