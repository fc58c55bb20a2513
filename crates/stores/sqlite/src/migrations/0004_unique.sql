-- Input: the tables of schema version 3.
-- Output: those of version 4: a unique key is held until its job starts, until it is over, or for
--   a while.
-- Guarantee: no row changes; who had a key has it.

-- For how long the job has its unique key. NULL: until it is over. 0: until its first claim.
-- More: so many nanoseconds after it was enqueued. Less: the same, and that time has passed.
ALTER TABLE longshore_job ADD COLUMN unique_for INTEGER;

-- Who has which key. A key whose window is over stays here until somebody asks for it.
DROP INDEX longshore_job_unique_key;
CREATE UNIQUE INDEX longshore_job_unique_key
    ON longshore_job (queue, unique_key) WHERE unique_key IS NOT NULL AND CASE
        WHEN unique_for IS NULL THEN state < 4
        WHEN unique_for = 0 THEN state < 4 AND claim = 0
        ELSE unique_for > 0 AND state < 5 END;

-- The keys of jobs that were pruned before their windows were over.
CREATE TABLE longshore_reservation (
    queue TEXT NOT NULL,
    unique_key TEXT NOT NULL,
    unique_hash INTEGER NOT NULL,
    id TEXT NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (queue, unique_key)
) STRICT, WITHOUT ROWID;

CREATE INDEX longshore_reservation_until ON longshore_reservation (until);
