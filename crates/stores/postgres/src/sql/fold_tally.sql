-- Input: nothing.
-- Output: the counts, added up.
-- Guarantee: who adds meanwhile is not waited for, and nothing is counted twice.
WITH parts AS (
    DELETE FROM longshore.tally WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM longshore.tally LIMIT 10000 FOR UPDATE SKIP LOCKED
    )) RETURNING *
)
INSERT INTO longshore.tally (queue, state, jobs)
SELECT queue, state, sum(jobs) FROM parts GROUP BY queue, state HAVING sum(jobs) <> 0
