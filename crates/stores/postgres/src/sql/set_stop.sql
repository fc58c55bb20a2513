-- Input: seq, what is asked: 1 to be cancelled, 2 to be discarded.
-- Output: one changed row.
-- Guarantee: the lease stays; its holder hears of it with the next heartbeat.
UPDATE longshore.job SET stop = $2 WHERE seq = $1
