-- Input: a final state, an end before which jobs go or NULL, how many of those that were over last
--   stay in any case or NULL to ask for the end alone, how many go at most.
-- Output: how many went, the longest over first.
-- Guarantee: what is counted is what was there when the statement began. What someone else deletes
--   meanwhile is passed over, so two who do this at once leave as many as one.
WITH too_many AS (
    SELECT coalesce(sum(jobs), 0) - $3::bigint AS jobs FROM longshore.tally WHERE state = $1
), old AS (
    SELECT seq, finished_at, row_number() OVER (ORDER BY finished_at, seq) AS place FROM (
        SELECT seq, finished_at FROM longshore.job_over WHERE state = $1
        ORDER BY finished_at, seq LIMIT $4
    ) AS longest
), gone AS (
    DELETE FROM longshore.job_over WHERE seq IN (
        SELECT seq FROM old WHERE place <= (SELECT jobs FROM too_many) OR finished_at < $2
    ) RETURNING queue, state
), counted AS (
    INSERT INTO longshore.tally (queue, state, jobs)
    SELECT queue, state, -count(*) FROM gone GROUP BY queue, state
)
SELECT count(*) FROM gone
