-- Input: nothing.
-- Output: what doctor looks at, in one row; see examination.rs.
SELECT
    current_setting('server_version'),
    current_setting('server_encoding'),
    (SELECT max(version) FROM longshore.layout),
    current_setting('fsync'),
    current_setting('full_page_writes'),
    current_setting('synchronous_commit'),
    current_setting('autovacuum'),
    current_setting('track_counts'),
    pg_is_in_recovery(),
    coalesce((
        SELECT max(extract(epoch FROM clock_timestamp() - a.xact_start))::bigint
        FROM pg_stat_activity AS a
        WHERE a.backend_xmin IS NOT NULL AND a.backend_type = 'client backend'
            AND a.pid <> pg_backend_pid()
    ), 0),
    coalesce((
        SELECT a.pid FROM pg_stat_activity AS a
        WHERE a.backend_xmin IS NOT NULL AND a.backend_type = 'client backend'
            AND a.pid <> pg_backend_pid()
        ORDER BY a.xact_start LIMIT 1
    ), 0),
    coalesce((
        SELECT s.slot_name::text FROM pg_replication_slots AS s
        WHERE NOT s.active AND coalesce(s.xmin, s.catalog_xmin) IS NOT NULL LIMIT 1
    ), ''),
    coalesce((
        SELECT p.gid FROM pg_prepared_xacts AS p
        WHERE p.prepared < clock_timestamp() - interval '5 minutes' ORDER BY p.prepared LIMIT 1
    ), ''),
    coalesce((
        SELECT s.n_dead_tup FROM pg_stat_user_tables AS s
        WHERE s.relid = to_regclass('longshore.job')
    ), 0),
    coalesce((
        SELECT greatest(c.reltuples, 0)::bigint FROM pg_class AS c
        WHERE c.oid = to_regclass('longshore.job')
    ), 0),
    coalesce((SELECT sum(t.jobs) FROM longshore.tally AS t), 0)::bigint,
    coalesce((
        SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
        WHERE c.relnamespace = (
            SELECT n.relnamespace FROM pg_class AS n WHERE n.oid = to_regclass('longshore.job')
        ) AND c.relkind = 'r'
    ), 0)::bigint,
    (SELECT count(*) FROM pg_stat_activity),
    current_setting('max_connections')::bigint,
    current_user::text,
    (
        SELECT pg_get_userbyid(n.nspowner)::text FROM pg_namespace AS n
        JOIN pg_class AS c ON c.relnamespace = n.oid WHERE c.oid = to_regclass('longshore.layout')
    ),
    current_setting('default_transaction_read_only'),
    (SELECT s.setting::bigint FROM pg_settings AS s WHERE s.name = 'statement_timeout')
