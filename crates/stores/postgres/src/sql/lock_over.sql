-- Input: ids.
-- Output: those jobs that are over. Large args are left out.
-- Guarantee: nobody else changes them before the transaction ends.
SELECT {lean} FROM longshore.job_over AS j WHERE j.id = ANY ($1) ORDER BY j.id FOR UPDATE
