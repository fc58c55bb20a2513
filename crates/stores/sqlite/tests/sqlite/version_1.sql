-- Input: a database with the tables of version 1.
-- Output: one waiting job, as the first release wrote it.
-- Guarantee: stays as it is, so that every later version is tested against it.
INSERT INTO longshore_job (
    id, queue, kind, priority, state, max_attempts, enqueued_at, available_at, args
) VALUES ('old-job', 'work', 'count', 2, 2, 20, 1000, 1000, CAST('{}' AS BLOB));
INSERT INTO longshore_queue (name, available) VALUES ('work', 1);
PRAGMA application_id = 0x4c53484f;
PRAGMA user_version = 1;
