-- Input: ids.
-- Output: those jobs that wait or run. Large args are left out.
-- Guarantee: nobody else changes them before the transaction ends. They are locked in the order of
--   their ids, as everybody does, so that nobody waits in a circle.
SELECT {lean} FROM longshore.job AS j WHERE j.id = ANY ($1) ORDER BY j.id FOR UPDATE
