-- Input: the time; queue, key, hash, id, end of the window or NULL of each key to be taken.
-- Output: queue and key of those that were free, or whose window was over.
-- Guarantee: a key belongs to one job.
INSERT INTO longshore.unique_key AS k (queue, key, hash, id, until)
SELECT n.queue, n.key, n.hash, n.id, n.until
FROM unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::bigint[])
    AS n (queue, key, hash, id, until)
-- Everybody takes keys in this order, so that nobody waits in a circle.
ORDER BY n.queue COLLATE "C", n.key COLLATE "C"
ON CONFLICT (queue, key) DO UPDATE SET
    hash = excluded.hash, id = excluded.id, until = excluded.until
WHERE k.until <= $1
RETURNING k.queue, k.key
