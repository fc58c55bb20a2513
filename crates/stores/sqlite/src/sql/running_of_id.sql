-- Input: 1 job id, 2 token.
-- Output: what a settle needs of the running job, if the token is the one of its lease.
-- Guarantee: no row for a lost lease.
SELECT seq, queue, attempt, claim, worker, available_at, claimed_at, cancel_requested, outside,
    envelope
FROM longshore_job WHERE id = ?1 AND lease_token = ?2 AND state = 3
