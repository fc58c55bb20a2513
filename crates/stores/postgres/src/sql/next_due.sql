-- Input: the time or NULL, queues, the due time and seq from which to look for each queue and priority.
-- Output: the time, and when the first job that waits in one of them and may be claimed is due.
-- Guarantee: one look at the index for each queue and priority.
SELECT longshore.time_of($1), (
    SELECT min(first.available_at)
    FROM unnest($2::text[]) WITH ORDINALITY AS q (name, place)
    CROSS JOIN generate_series(1, 4) AS p (priority)
    CROSS JOIN LATERAL (
        SELECT j.available_at FROM longshore.job AS j
        WHERE j.queue = q.name AND j.priority = p.priority AND j.state < 3
            AND (j.available_at, j.seq) >= (
                ($3::bigint[])[q.place::int * 4 - 4 + p.priority],
                ($4::bigint[])[q.place::int * 4 - 4 + p.priority]
            )
        ORDER BY j.available_at, j.seq LIMIT 1
    ) AS first
    WHERE NOT EXISTS (SELECT FROM longshore.paused AS s WHERE s.queue = q.name)
)
