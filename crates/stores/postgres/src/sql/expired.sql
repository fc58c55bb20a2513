-- Input: the time, how many.
-- Output: id, token, attempt, max_attempts, stop and keep of running jobs whose lease has expired,
--   the longest expired first.
-- Guarantee: nobody else changes them before the transaction ends; who holds one now is passed over.
SELECT id, lease_token, attempt, max_attempts, stop, keep FROM longshore.job
WHERE state = 3 AND lease_expires_at < $1
ORDER BY lease_expires_at, seq LIMIT $2
FOR UPDATE SKIP LOCKED
