-- Input: seqs, what is asked: 1 to be cancelled, 2 to be discarded.
-- Output: so many changed rows.
-- Guarantee: the leases stay; their holders hear of it with the next heartbeat.
UPDATE longshore.job SET stop = $2 WHERE seq = ANY ($1)
