-- Input: nothing.
-- Output: how many jobs are over, by queue and state.
SELECT queue, state, sum(jobs)::bigint FROM longshore.tally GROUP BY queue, state
