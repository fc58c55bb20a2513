-- Input: a final state.
-- Output: how many jobs are in it.
SELECT coalesce(sum(jobs), 0)::bigint FROM longshore.tally WHERE state = $1
