-- Input: of jobs that the transaction has locked, column by column: seq, hash, state, priority,
--   available_at, first_available_at or NULL to leave it, args.
-- Output: the changed rows, and their keys with the new hashes.
-- Guarantee: the jobs keep their ids, their attempts and their envelopes; their checkpoints go.
WITH replaced AS (
    UPDATE longshore.job AS j SET
        unique_hash = n.hash, state = n.state, priority = n.priority,
        available_at = n.available_at,
        first_available_at = coalesce(n.first_available_at, j.first_available_at),
        args = n.args, checkpoint = NULL
    FROM unnest(
        $1::bigint[], $2::bigint[], $3::smallint[], $4::smallint[], $5::bigint[], $6::bigint[],
        $7::bytea[]
    ) AS n (seq, hash, state, priority, available_at, first_available_at, args)
    WHERE j.seq = n.seq
    RETURNING j.queue, j.unique_key, j.id, n.hash
)
UPDATE longshore.unique_key AS k SET hash = r.hash FROM replaced AS r
WHERE k.queue = r.queue AND k.key = r.unique_key AND k.id = r.id
