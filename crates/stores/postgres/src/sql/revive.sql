-- Input: seq of a job that waits or is over, available_at, max_attempts.
-- Output: one changed row, or the job moved back from job_over and counted.
-- Guarantee: the job is available and its result is gone.
WITH waits AS (
    UPDATE longshore.job SET
        state = 2, available_at = $2, max_attempts = $3, finished_at = NULL, result = NULL
    WHERE seq = $1
), back AS (
    DELETE FROM longshore.job_over WHERE seq = $1 RETURNING *
), moved AS (
    INSERT INTO longshore.job (
        seq, enqueued_at, available_at, first_available_at, timeout, unique_hash, unique_for,
        attempt, claim, max_attempts, priority, state, id, queue, kind, tenant, unique_key,
        envelope, keep, history, checkpoint, args
    )
    SELECT b.seq, b.enqueued_at, $2, b.first_available_at, b.timeout, b.unique_hash, b.unique_for,
        b.attempt, b.claim, $3, b.priority, 2, b.id, b.queue, b.kind, b.tenant, b.unique_key,
        b.envelope, b.keep, b.history, b.checkpoint, b.args
    FROM back AS b
)
INSERT INTO longshore.tally (queue, state, jobs) SELECT queue, state, -1 FROM back
