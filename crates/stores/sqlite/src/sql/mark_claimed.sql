-- Input: 1 what is added to a seq to make its token, 2 worker, 3 now, 4 end of the lease, 5 seq.
-- Output: one changed row.
-- Guarantee: run in the transaction that found the job waiting, so two claims never meet.
UPDATE OR FAIL longshore_job SET
    state = 3, attempt = attempt + 1, claim = claim + 1, worker = ?2, claimed_at = ?3,
    lease_token = ?1 + (seq & 0x3fffffffffffffff), lease_expires_at = ?4, progress = NULL
WHERE seq = ?5
