-- Input: the time; of each line: queue, kind, tenant or NULL, lane (the priority if it is a
--   tenant's), how many of its jobs to pass over, how many to read.
-- Output: due jobs of the lines in the order of claims: which line from 1, due time, seq, tenant.
-- Guarantee: reads no more jobs than it gives back and passes over.
SELECT l.place, f.available_at, f.seq, f.tenant
FROM unnest($2::text[], $3::text[], $4::text[], $5::int[], $6::bigint[], $7::bigint[])
    WITH ORDINALITY AS l (queue, kind, tenant, lane, skip, most, place)
CROSS JOIN LATERAL (
    (
        SELECT j.available_at, j.seq, j.tenant FROM longshore.job AS j
        WHERE l.tenant IS NULL AND j.queue = l.queue AND j.kind = l.kind AND j.state < 3
            AND CASE WHEN j.tenant IS NULL THEN j.priority ELSE j.priority + 4 END = l.lane
            AND j.available_at <= $1
        ORDER BY j.available_at, j.seq LIMIT l.most OFFSET l.skip
    ) UNION ALL (
        SELECT j.available_at, j.seq, j.tenant FROM longshore.job AS j
        WHERE l.tenant IS NOT NULL AND j.queue = l.queue AND j.tenant = l.tenant
            AND j.tenant IS NOT NULL AND j.kind = l.kind AND j.state < 3 AND j.priority = l.lane
            AND j.available_at <= $1
        ORDER BY j.available_at, j.seq LIMIT l.most OFFSET l.skip
    )
) AS f
ORDER BY l.place, f.available_at, f.seq
