-- Input: 1 seq, 2 attempt, 3 claim, 4 token, 5 worker, 6 now, 7 end of the lease.
-- Output: one changed row.
-- Guarantee: run in the transaction that found the job waiting, so two claims never meet.
UPDATE longshore_job SET
    state = 3, attempt = ?2, claim = ?3, lease_token = ?4, worker = ?5, claimed_at = ?6,
    lease_expires_at = ?7, progress = NULL
WHERE seq = ?1
