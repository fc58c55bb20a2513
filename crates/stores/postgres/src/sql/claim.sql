-- Input: the time or NULL, queues, how many, turn, due times and seqs of marks or NULL, chosen seqs or
--   NULL, lease, worker, base of tokens.
-- Output: slot and job, after a row without a slot that tells of the choice; see the function.
-- Guarantee: each job is claimed by one claim alone.
SELECT c.slot, c.at, c.took, c.opened, c.drained, {claimed}
FROM longshore.claim($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) AS c
