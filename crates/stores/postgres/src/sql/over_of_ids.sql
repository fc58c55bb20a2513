-- Input: ids.
-- Output: those of jobs that are over.
SELECT id FROM longshore.job_over WHERE id = ANY ($1)
