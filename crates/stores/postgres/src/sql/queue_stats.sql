-- Input: the time.
-- Output: queue, state that jobs are shown in, how many, the due time of the longest due one.
SELECT queue, CASE WHEN state < 3 AND available_at <= $1 THEN 2 ELSE state END::smallint AS shown,
    count(*), min(available_at) FILTER (WHERE state < 3 AND available_at <= $1)
FROM longshore.job GROUP BY queue, shown
