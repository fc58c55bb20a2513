-- Input: seqs of jobs that wait, a final state, the time.
-- Output: the jobs moved to job_over and counted; their keys are let go.
-- Guarantee: their checkpoints are gone.
WITH gone AS (
    DELETE FROM longshore.job WHERE seq = ANY ($1) RETURNING *
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
INSERT INTO longshore.tally (queue, state, jobs)
SELECT queue, $2::smallint, count(*) FROM gone GROUP BY queue
