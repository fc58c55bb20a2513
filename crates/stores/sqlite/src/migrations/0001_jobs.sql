-- Input: an empty database, or one without Longshore's tables.
-- Output: the tables of schema version 1.
-- Guarantee: job ids are unique; so is a unique key among the unfinished jobs of a queue.
--
-- States are numbered so that partial indexes need one comparison:
-- 0 scheduled, 1 retryable, 2 available | 3 running | 4 completed, 5 cancelled, 6 discarded.
-- Times are nanoseconds since 1970.

CREATE TABLE longshore_job (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    queue TEXT NOT NULL,
    kind TEXT NOT NULL,
    priority INTEGER NOT NULL,
    state INTEGER NOT NULL,
    attempt INTEGER NOT NULL DEFAULT 0,
    claim INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL,
    enqueued_at INTEGER NOT NULL,
    available_at INTEGER NOT NULL,
    -- NULL: equal to enqueued_at.
    first_available_at INTEGER,
    finished_at INTEGER,
    lease_token INTEGER,
    lease_expires_at INTEGER,
    claimed_at INTEGER,
    worker TEXT,
    progress INTEGER,
    cancel_requested INTEGER NOT NULL DEFAULT 0,
    timeout INTEGER,
    unique_key TEXT,
    unique_hash INTEGER,
    -- What lies in longshore_blob: 1 args, 2 checkpoint, 4 result, added up.
    outside INTEGER NOT NULL DEFAULT 0,
    -- JSON of the rare fields; NULL when all have their defaults.
    envelope TEXT,
    -- JSON of reason and time; NULL until the trace is to be kept.
    keep TEXT,
    result BLOB,
    args BLOB,
    -- One JSON array a line, an ended attempt each, oldest first.
    history TEXT
) STRICT;

-- What can be claimed, in the order of claims.
CREATE INDEX longshore_job_waiting
    ON longshore_job (queue, priority, available_at) WHERE state < 3;

-- What waits for its time: for promotion and for counts. Empty while nothing is delayed.
CREATE INDEX longshore_job_delayed
    ON longshore_job (queue, available_at, state) WHERE state < 2;

-- Whose lease expires when.
CREATE INDEX longshore_job_lease
    ON longshore_job (lease_expires_at) WHERE state = 3;

-- What can be pruned.
CREATE INDEX longshore_job_finished
    ON longshore_job (finished_at) WHERE state > 3;

CREATE UNIQUE INDEX longshore_job_unique_key
    ON longshore_job (queue, unique_key) WHERE unique_key IS NOT NULL AND state < 4;

-- Large values, apart from the rows that every transition rewrites. The key is 4 * seq plus
-- 0 for args, 1 for the checkpoint, 2 for the result.
CREATE TABLE longshore_blob (
    key INTEGER PRIMARY KEY,
    body BLOB NOT NULL
) STRICT;

-- How many jobs of a queue are in which state, kept with every transition.
CREATE TABLE longshore_queue (
    name TEXT PRIMARY KEY,
    paused INTEGER NOT NULL DEFAULT 0,
    scheduled INTEGER NOT NULL DEFAULT 0,
    retryable INTEGER NOT NULL DEFAULT 0,
    available INTEGER NOT NULL DEFAULT 0,
    running INTEGER NOT NULL DEFAULT 0,
    completed INTEGER NOT NULL DEFAULT 0,
    cancelled INTEGER NOT NULL DEFAULT 0,
    discarded INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;

CREATE TABLE longshore_document (
    name TEXT PRIMARY KEY,
    version INTEGER NOT NULL,
    body BLOB NOT NULL
) STRICT;
