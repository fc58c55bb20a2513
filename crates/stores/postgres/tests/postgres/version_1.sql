-- What a store of layout version 1 may hold: a job that waits and has a key, one that runs, one that
-- was discarded after two attempts, a document, a tally.
INSERT INTO longshore.job (
    enqueued_at, available_at, max_attempts, priority, state, id, queue, kind, tenant, unique_key,
    unique_hash, envelope, args
) VALUES (
    1700000000000000000, 1700000000000000000, 20, 2, 2, 'waits', 'work', 'count', 'ann', 'key', 5,
    '{"n":"ann"}', '\x7b7d'
);
INSERT INTO longshore.unique_key (queue, key, hash, id) VALUES ('work', 'key', 5, 'waits');
INSERT INTO longshore.job (
    enqueued_at, available_at, max_attempts, priority, state, id, queue, kind, args, attempt, claim,
    worker, claimed_at, lease_token, lease_expires_at
) VALUES (
    1700000000000000000, 1700000000000000000, 20, 2, 3, 'runs', 'work', 'count', '\x7b7d', 1, 1,
    'w', 1700000001000000000, 77, 1700000031000000000
);
INSERT INTO longshore.job_over (
    seq, enqueued_at, available_at, finished_at, max_attempts, priority, state, id, queue, kind, args,
    attempt, claim, history
) VALUES (
    100, 1700000000000000000, 1700000000000000000, 1700000009000000000, 2, 2, 6, 'over', 'work',
    'count', '\x7b7d', 2, 2,
    E'[1,1,1700000000000000000,5,6,"retried","w",["Luck","no \\"luck\\""],"0af7651916cd43dd8448eb211c80319c","b7ad6b7169203331"]\n[2,2,1700000002000000000,5,6,"discarded","w",["Luck","none"]]'
);
INSERT INTO longshore.tally (queue, state, jobs) VALUES ('work', 6, 2), ('work', 6, -1);
INSERT INTO longshore.document (name, version, body) VALUES ('d', 3, 'body');
