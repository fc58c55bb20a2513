-- Input: jobs that do not run, with ids that nobody else has or gets, column by column.
-- Output: the jobs, stored.
-- Guarantee: they are numbered in the order they come in, whichever table they belong to; what is
--   over is counted.
WITH came AS MATERIALIZED (
    SELECT nextval(pg_get_serial_sequence('longshore.job', 'seq')) AS seq, n.*
    FROM (
        SELECT * FROM unnest(
            $1::text[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::smallint[],
            $7::int[], $8::int[], $9::int[], $10::bigint[], $11::bigint[], $12::bigint[],
            $13::bigint[], $14::bigint[], $15::text[], $16::bigint[], $17::bigint[], $18::text[],
            $19::text[], $20::text[], $21::bytea[], $22::bytea[], $23::bytea[]
        ) WITH ORDINALITY AS u (
            id, queue, kind, tenant, priority, state, attempt, claim, max_attempts, enqueued_at,
            available_at, first_available_at, finished_at, timeout, unique_key, unique_hash,
            unique_for, envelope, keep, history, checkpoint, result, args, place
        )
        ORDER BY u.place
    ) AS n
), waits AS (
    INSERT INTO longshore.job (
        seq, id, queue, kind, tenant, priority, state, attempt, claim, max_attempts, enqueued_at,
        available_at, first_available_at, timeout, unique_key, unique_hash, unique_for, envelope,
        keep, history, checkpoint, result, args
    )
    SELECT c.seq, c.id, c.queue, c.kind, c.tenant, c.priority, c.state, c.attempt, c.claim,
        c.max_attempts, c.enqueued_at, c.available_at, c.first_available_at, c.timeout,
        c.unique_key, c.unique_hash, c.unique_for, c.envelope, c.keep, c.history, c.checkpoint,
        c.result, c.args
    FROM came AS c WHERE c.state < 3
), over AS (
    INSERT INTO longshore.job_over (
        seq, id, queue, kind, tenant, priority, state, attempt, claim, max_attempts, enqueued_at,
        available_at, first_available_at, finished_at, timeout, unique_key, unique_hash, unique_for,
        envelope, keep, history, checkpoint, result, args
    )
    SELECT c.seq, c.id, c.queue, c.kind, c.tenant, c.priority, c.state, c.attempt, c.claim,
        c.max_attempts, c.enqueued_at, c.available_at, c.first_available_at, c.finished_at,
        c.timeout, c.unique_key, c.unique_hash, c.unique_for, c.envelope, c.keep, c.history,
        c.checkpoint, c.result, c.args
    FROM came AS c WHERE c.state > 3
)
INSERT INTO longshore.tally (queue, state, jobs)
SELECT c.queue, c.state, count(*) FROM came AS c WHERE c.state > 3 GROUP BY c.queue, c.state
