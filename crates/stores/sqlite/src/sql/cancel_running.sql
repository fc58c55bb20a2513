-- Input: 1 seq.
-- Output: one changed row.
-- Guarantee: the lease stays; its holder hears of it with the next heartbeat.
UPDATE longshore_job SET cancel_requested = 1 WHERE seq = ?1
