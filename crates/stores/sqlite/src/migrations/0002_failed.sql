-- Input: the tables of schema version 1.
-- Output: those of version 2: an index of the jobs that failed.
-- Guarantee: no row changes. A job that completes writes nothing to the index.

-- What went wrong, newest first: few jobs among many, and those that people look for.
CREATE INDEX longshore_job_failed
    ON longshore_job (state) WHERE state > 4;
