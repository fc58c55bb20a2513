-- Input: 1 seq, 2 what is asked: 1 to cancel, 2 to discard.
-- Output: one changed row.
-- Guarantee: the lease stays; its holder hears of it with the next heartbeat.
UPDATE longshore_job SET cancel_requested = ?2 WHERE seq = ?1
