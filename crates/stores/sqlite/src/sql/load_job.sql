-- Input: 1 seq.
-- Output: the whole row but its large values, in the order that `row.rs` reads.
-- Guarantee: at most one row.
SELECT
    id, queue, kind, priority, state, attempt, claim, max_attempts, enqueued_at, available_at,
    first_available_at, finished_at, lease_expires_at, claimed_at, worker, progress,
    cancel_requested, timeout, unique_key, unique_hash, unique_for, outside, envelope, keep, result,
    args, history
FROM longshore_job WHERE seq = ?1
