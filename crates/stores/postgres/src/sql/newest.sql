-- Input: a seq.
-- Output: the largest seq below it, if there is one.
SELECT greatest(
    (SELECT max(seq) FROM longshore.job WHERE seq < $1),
    (SELECT max(seq) FROM longshore.job_over WHERE seq < $1)
)
