-- Input: a final state, an end before which jobs go or NULL, how many of the longest over go in any
--   case, how many at most.
-- Output: how many went, the longest over first.
WITH old AS (
    SELECT seq, finished_at, row_number() OVER (ORDER BY finished_at, seq) AS place FROM (
        SELECT seq, finished_at FROM longshore.job_over WHERE state = $1
        ORDER BY finished_at, seq LIMIT $4
    ) AS longest
), gone AS (
    DELETE FROM longshore.job_over WHERE seq IN (
        SELECT seq FROM old WHERE place <= $3 OR finished_at < $2
    ) RETURNING queue, state
), counted AS (
    INSERT INTO longshore.tally (queue, state, jobs)
    SELECT queue, state, -count(*) FROM gone GROUP BY queue, state
)
SELECT count(*) FROM gone
