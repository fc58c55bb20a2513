-- Input: the time or NULL, queues, how many, turn, chosen seqs or NULL, lease, worker, base of tokens.
-- Output: slot and job; see the function.
-- Guarantee: each job is claimed by one claim alone.
SELECT c.slot, {found} FROM longshore.claim($1, $2, $3, $4, $5, $6, $7, $8) AS c
