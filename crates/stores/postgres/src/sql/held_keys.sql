-- Input: the time; queue and key of those that are asked about.
-- Output: queue and key of those that a job has, its id, and the hash of its kind and args.
SELECT k.queue, k.key, k.id, k.hash
FROM unnest($2::text[], $3::text[]) AS n (queue, key)
JOIN longshore.unique_key AS k ON k.queue = n.queue AND k.key = n.key
WHERE k.until IS NULL OR k.until > $1
