-- Input: a number for the schema, queues.
-- Output: the time, and those of the queues that are not paused.
-- Guarantee: one claim with quotas at a time, so that two do not choose the same jobs; until the
--   transaction ends, statements are planned by indexes alone, as those of the functions are.
SELECT longshore.time_of($3), ARRAY(
    SELECT DISTINCT q.name FROM unnest($2::text[]) AS q (name)
    WHERE NOT EXISTS (SELECT FROM longshore.paused AS s WHERE s.queue = q.name)
)
FROM (
    SELECT pg_advisory_xact_lock($1), set_config('enable_seqscan', 'off', true),
        set_config('enable_bitmapscan', 'off', true), set_config('enable_hashjoin', 'off', true),
        set_config('enable_mergejoin', 'off', true)
) AS locked
