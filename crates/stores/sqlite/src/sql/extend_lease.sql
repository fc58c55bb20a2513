-- Input: 1 job id, 2 token, 3 new end of the lease, 4 progress or NULL to leave it.
-- Output: seq, outside and whether someone asked to cancel; no row if the lease is lost.
-- Guarantee: a lost lease changes nothing.
UPDATE longshore_job SET lease_expires_at = ?3, progress = ifnull(?4, progress)
WHERE id = ?1 AND lease_token = ?2 AND state = 3
RETURNING seq, outside, cancel_requested
