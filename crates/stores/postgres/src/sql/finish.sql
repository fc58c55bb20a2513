-- Input: seq of a job that waits, a final state, the time.
-- Output: the job moved to job_over and counted; its key is let go.
-- Guarantee: its checkpoint is gone.
WITH gone AS (
    DELETE FROM longshore.job WHERE seq = $1 RETURNING *
), moved AS (
    INSERT INTO longshore.job_over (
        seq, enqueued_at, available_at, first_available_at, finished_at, timeout, unique_hash,
        unique_for, attempt, claim, max_attempts, priority, state, id, queue, kind, tenant,
        unique_key, envelope, keep, history, result, args
    )
    SELECT g.seq, g.enqueued_at, g.available_at, g.first_available_at, $3, g.timeout,
        g.unique_hash, g.unique_for, g.attempt, g.claim, g.max_attempts, g.priority, $2, g.id,
        g.queue, g.kind, g.tenant, g.unique_key, g.envelope, g.keep, g.history, g.result, g.args
    FROM gone AS g
), freed AS (
    DELETE FROM longshore.unique_key AS k USING gone AS g
    WHERE k.queue = g.queue AND k.key = g.unique_key AND k.id = g.id
)
INSERT INTO longshore.tally (queue, state, jobs) SELECT queue, $2, 1 FROM gone
