-- Input: queues, kinds that are left out.
-- Output: the lines of waiting jobs: queue, kind, lane.
-- Guarantee: one look at the index for each line, however many jobs wait in it.
WITH RECURSIVE line (queue, kind, lane) AS (
    SELECT q.name, first.kind, first.lane
    FROM unnest($1::text[]) AS q (name) CROSS JOIN LATERAL (
        SELECT j.kind, CASE WHEN j.tenant IS NULL THEN j.priority ELSE j.priority + 4 END AS lane
        FROM longshore.job AS j WHERE j.queue = q.name AND j.state < 3
        ORDER BY j.kind, CASE WHEN j.tenant IS NULL THEN j.priority ELSE j.priority + 4 END
        LIMIT 1
    ) AS first
    UNION ALL
    SELECT l.queue, next.kind, next.lane
    FROM line AS l CROSS JOIN LATERAL (
        SELECT j.kind, CASE WHEN j.tenant IS NULL THEN j.priority ELSE j.priority + 4 END AS lane
        FROM longshore.job AS j
        WHERE j.queue = l.queue AND j.state < 3 AND (
            j.kind, CASE WHEN j.tenant IS NULL THEN j.priority ELSE j.priority + 4 END
        ) > (l.kind, CASE WHEN l.kind = ANY ($2::text[]) THEN 9 ELSE l.lane END)
        ORDER BY j.kind, CASE WHEN j.tenant IS NULL THEN j.priority ELSE j.priority + 4 END
        LIMIT 1
    ) AS next
)
SELECT queue, kind, lane FROM line WHERE kind <> ALL ($2::text[])
