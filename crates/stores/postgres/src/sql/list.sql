-- Input: 1 seq to go on below, 2 seq to stop at, 3 states as they are written, 4 whether to look at
--   jobs that are over, 5 whether those are all cancelled or discarded, 6 queue or NULL, 7 kind or
--   NULL, 8 and 9 enqueued from and before or NULL, 10 texts that are in the envelope, 11 the
--   correlation id or NULL, 12 the same as JSON, 13 texts that are in the history, 14 how many.
-- Output: jobs that may match, newest first. Large args are left out.
-- Guarantee: looks at no job beyond the two seqs.
SELECT {lean} FROM (
    (
        SELECT * FROM longshore.job AS a WHERE {matches}
        ORDER BY a.seq DESC LIMIT $14
    ) UNION ALL (
        SELECT * FROM longshore.job_over AS a WHERE $4 AND NOT $5 AND {matches}
        ORDER BY a.seq DESC LIMIT $14
    ) UNION ALL (
        SELECT * FROM longshore.job_over AS a WHERE $4 AND $5 AND a.state > 4 AND {matches}
        ORDER BY a.seq DESC LIMIT $14
    )
) AS j
ORDER BY j.seq DESC LIMIT $14
