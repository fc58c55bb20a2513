-- Input: 1 seq, 2 state, 3 attempt, 4 available_at or NULL to leave it, 5 finished_at,
--   6 cancel_requested, 7 outside, 8 result or NULL to leave it, 9 keep, 10 history record.
-- Output: one changed row.
-- Guarantee: the lease is gone, the record is last in the history, a trace once kept stays so.
UPDATE longshore_job SET
    state = ?2, attempt = ?3, available_at = ifnull(?4, available_at), finished_at = ?5,
    cancel_requested = ?6, outside = ?7, result = ifnull(?8, result), keep = ifnull(keep, ?9),
    history = CASE WHEN history IS NULL THEN ?10 ELSE history || char(10) || ?10 END,
    lease_token = NULL, lease_expires_at = NULL, claimed_at = NULL, worker = NULL, progress = NULL
WHERE seq = ?1
