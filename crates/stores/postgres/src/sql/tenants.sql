-- Input: queues; the tenant to begin after; the one to end with or NULL; how many tenants; tenants
--   and kinds that are left out.
-- Output: the lines of these tenants, tenant by tenant: tenant, queue, kind, priority.
-- Guarantee: one look at the index for each tenant, and for each of their lines, however many jobs
--   wait.
WITH RECURSIVE tenant (name) AS (
    SELECT min(first.tenant) FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
        SELECT j.tenant FROM longshore.job AS j
        WHERE j.queue = q.name AND j.tenant > $2 AND j.tenant IS NOT NULL AND j.state < 3
        ORDER BY j.tenant LIMIT 1
    ) AS first
    UNION ALL
    SELECT (
        SELECT min(next.tenant) FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
            SELECT j.tenant FROM longshore.job AS j
            WHERE j.queue = q.name AND j.tenant > t.name AND j.tenant IS NOT NULL AND j.state < 3
            ORDER BY j.tenant LIMIT 1
        ) AS next
    )
    FROM tenant AS t WHERE t.name IS NOT NULL AND ($3::text IS NULL OR t.name < $3)
), wanted AS MATERIALIZED (
    SELECT t.name FROM tenant AS t
    WHERE t.name IS NOT NULL AND ($3::text IS NULL OR t.name <= $3) AND t.name <> ALL ($5::text[])
    LIMIT $4
), line (tenant, queue, kind, priority) AS (
    SELECT w.name, q.name, first.kind, first.priority
    FROM wanted AS w CROSS JOIN unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
        SELECT j.kind, j.priority FROM longshore.job AS j
        WHERE j.queue = q.name AND j.tenant = w.name AND j.tenant IS NOT NULL AND j.state < 3
        ORDER BY j.kind, j.priority LIMIT 1
    ) AS first
    UNION ALL
    SELECT l.tenant, l.queue, next.kind, next.priority
    FROM line AS l CROSS JOIN LATERAL (
        SELECT j.kind, j.priority FROM longshore.job AS j
        WHERE j.queue = l.queue AND j.tenant = l.tenant AND j.tenant IS NOT NULL AND j.state < 3
            AND (j.kind, j.priority)
                > (l.kind, CASE WHEN l.kind = ANY ($6::text[]) THEN 9 ELSE l.priority END)
        ORDER BY j.kind, j.priority LIMIT 1
    ) AS next
)
SELECT w.name, l.queue, l.kind, l.priority
FROM wanted AS w LEFT JOIN line AS l ON l.tenant = w.name AND l.kind <> ALL ($6::text[])
ORDER BY w.name
