-- Input: distinct ids.
-- Output: those that no unfinished job has. Until they are let go again no other job gets one.
-- Guarantee: whoever comes with such an id meanwhile waits for the end of the transaction, and whoever
--   came before is waited for. Nobody sees the rows: their state is none.
INSERT INTO longshore.job (
    enqueued_at, available_at, max_attempts, priority, state, id, queue, kind, args
)
SELECT 0, 0, 0, 0, 7, n.id, '', '', '' FROM unnest($1::text[]) AS n (id)
-- Everybody takes ids in this order, so that nobody waits in a circle.
ORDER BY n.id COLLATE "C"
ON CONFLICT (id) DO NOTHING
RETURNING id
