-- Input: an id.
-- Output: the job, if it waits or runs.
-- Guarantee: nobody else changes it before the transaction ends.
SELECT {job} FROM longshore.job AS j WHERE j.id = $1 FOR UPDATE
