-- Input: the tables of schema version 4.
-- Output: those of version 5: what can be pruned is indexed by state.
-- Guarantee: no row changes. From this version on, `cancel_requested` may be 2: to be discarded.

DROP INDEX longshore_job_finished;

-- What can be pruned: of each final state, the longest over first.
CREATE INDEX longshore_job_over
    ON longshore_job (state, finished_at) WHERE state > 3;
