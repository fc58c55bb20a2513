-- Input: ids that this transaction holds.
-- Output: their rows are gone.
DELETE FROM longshore.job WHERE id = ANY ($1) AND state = 7
