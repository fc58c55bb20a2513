-- Input: 1 seq.
-- Output: one changed row, or none if that stands there already.
-- Guarantee: the job, whose window is over, never has its unique key again.
UPDATE longshore_job SET unique_for = -unique_for WHERE seq = ?1 AND unique_for > 0
