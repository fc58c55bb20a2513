-- Input: of each job that waits or is over: seq, available_at, max_attempts.
-- Output: the jobs changed, or moved back from job_over and counted.
-- Guarantee: they are available and their results are gone.
WITH again AS (
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::int[]) AS n (seq, due, most)
), waits AS (
    UPDATE longshore.job AS j SET
        state = 2, available_at = a.due, max_attempts = a.most, finished_at = NULL, result = NULL
    FROM again AS a WHERE j.seq = a.seq
), back AS (
    DELETE FROM longshore.job_over AS o USING again AS a WHERE o.seq = a.seq
    RETURNING o.*, a.due, a.most
), moved AS (
    INSERT INTO longshore.job (
        seq, enqueued_at, available_at, first_available_at, timeout, unique_hash, unique_for,
        attempt, claim, max_attempts, priority, state, id, queue, kind, tenant, unique_key,
        envelope, keep, history, checkpoint, args
    )
    SELECT b.seq, b.enqueued_at, b.due, b.first_available_at, b.timeout, b.unique_hash,
        b.unique_for, b.attempt, b.claim, b.most, b.priority, 2, b.id, b.queue, b.kind, b.tenant,
        b.unique_key, b.envelope, b.keep, b.history, b.checkpoint, b.args
    FROM back AS b
)
INSERT INTO longshore.tally (queue, state, jobs)
SELECT queue, state, -count(*) FROM back GROUP BY queue, state
