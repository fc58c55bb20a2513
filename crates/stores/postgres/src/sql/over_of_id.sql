-- Input: an id.
-- Output: the job, if it is over.
-- Guarantee: nobody else changes it before the transaction ends.
SELECT {job} FROM longshore.job_over AS j WHERE j.id = $1 FOR UPDATE
