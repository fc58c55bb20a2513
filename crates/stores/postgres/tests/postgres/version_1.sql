-- A store of layout version 1, as pg_dump wrote it: a job that waits and has a key, one that runs, one
-- that was discarded after two attempts, a document, a tally. Never change it.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA longshore;
CREATE FUNCTION longshore.choose(now bigint, queues text[], wanted integer, turn integer) RETURNS bigint[]
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    open text[] := ARRAY(
        SELECT DISTINCT q.name FROM unnest(queues) AS q (name)
        WHERE NOT EXISTS (SELECT FROM longshore.paused AS p WHERE p.queue = q.name)
    );
    for_lower int := (turn % 8 + wanted) / 8;
    -- All that was found, priority after priority: where each begins, and where the next one does.
    seqs bigint[] := '{}';
    dues bigint[] := '{}';
    heads int[] := '{}';
    ends int[] := '{}';
    found_seqs bigint[];
    found_dues bigint[];
    priorities int := 0;
    need int;
    best int;
    pick int;
    taken bigint[] := '{}';
BEGIN
    FOR urgency IN 1..4 LOOP
        need := greatest(wanted - cardinality(seqs), for_lower);
        found_seqs := NULL;
        IF need > 0 THEN
            SELECT array_agg(f.seq ORDER BY f.available_at, f.seq),
                array_agg(f.available_at ORDER BY f.available_at, f.seq)
            INTO found_seqs, found_dues
            FROM unnest(open) AS q (name) CROSS JOIN LATERAL (
                SELECT j.seq, j.available_at FROM longshore.job AS j
                WHERE j.queue = q.name AND j.priority = urgency AND j.available_at <= now
                    AND j.state < 3
                ORDER BY j.available_at, j.seq
                LIMIT need FOR UPDATE SKIP LOCKED
            ) AS f;
        END IF;
        heads := heads || cardinality(seqs) + 1;
        IF found_seqs IS NOT NULL THEN
            priorities := priorities + 1;
            seqs := seqs || found_seqs;
            dues := dues || found_dues;
        END IF;
        ends := ends || cardinality(seqs);
    END LOOP;
    -- Most of the time there is one priority, and its jobs are those that are wanted.
    IF for_lower = 0 OR priorities < 2 THEN
        RETURN seqs[1:wanted];
    END IF;
    FOR slot IN 0..wanted - 1 LOOP
        best := NULL;
        pick := NULL;
        FOR urgency IN 1..4 LOOP
            CONTINUE WHEN heads[urgency] > ends[urgency];
            IF best IS NULL THEN
                best := urgency;
                EXIT WHEN (turn + slot) % 8 <> 7;
            ELSIF pick IS NULL OR (dues[heads[urgency]], seqs[heads[urgency]])
                    < (dues[heads[pick]], seqs[heads[pick]]) THEN
                pick := urgency;
            END IF;
        END LOOP;
        EXIT WHEN best IS NULL;
        pick := coalesce(pick, best);
        taken := taken || seqs[heads[pick]];
        heads[pick] := heads[pick] + 1;
    END LOOP;
    RETURN taken;
END $$;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE longshore.job (
    seq bigint NOT NULL,
    enqueued_at bigint NOT NULL,
    available_at bigint NOT NULL,
    first_available_at bigint,
    finished_at bigint,
    lease_token bigint,
    lease_expires_at bigint,
    claimed_at bigint,
    timeout bigint,
    unique_hash bigint,
    unique_for bigint,
    attempt integer DEFAULT 0 NOT NULL,
    claim integer DEFAULT 0 NOT NULL,
    max_attempts integer NOT NULL,
    priority smallint NOT NULL,
    state smallint NOT NULL,
    progress smallint,
    stop smallint DEFAULT 0 NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    queue text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    tenant text COLLATE pg_catalog."C",
    worker text COLLATE pg_catalog."C",
    unique_key text COLLATE pg_catalog."C",
    envelope text COLLATE pg_catalog."C",
    keep text COLLATE pg_catalog."C",
    history text COLLATE pg_catalog."C",
    checkpoint bytea,
    result bytea,
    args bytea NOT NULL
)
WITH (fillfactor='80', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='2000', autovacuum_analyze_scale_factor='0', autovacuum_analyze_threshold='5000', autovacuum_vacuum_cost_delay='0');
CREATE FUNCTION longshore.claim(given bigint, queues text[], wanted integer, turn integer, chosen bigint[], lease bigint, holder text, base bigint) RETURNS TABLE(slot bigint, found longshore.job)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    now bigint := longshore.time_of(given);
    keyed bigint[];
BEGIN
    IF chosen IS NULL THEN
        chosen := longshore.choose(now, queues, wanted, turn);
    ELSE
        chosen := ARRAY(
            SELECT c.seq FROM unnest(chosen) WITH ORDINALITY AS c (seq, place)
            CROSS JOIN LATERAL (
                SELECT FROM longshore.job AS j
                WHERE j.seq = c.seq AND j.state < 3 AND j.available_at <= now
                FOR UPDATE SKIP LOCKED
            ) AS locked
            ORDER BY c.place
        );
    END IF;
    IF cardinality(chosen) = 0 THEN
        RETURN;
    END IF;
    RETURN QUERY
        UPDATE longshore.job AS j SET
            state = 3, attempt = j.attempt + 1, claim = j.claim + 1, worker = holder,
            claimed_at = now, lease_token = base + j.seq, lease_expires_at = now + lease,
            progress = NULL
        FROM unnest(chosen) WITH ORDINALITY AS c (seq, slot)
        WHERE j.seq = c.seq AND j.state < 3
        RETURNING c.slot, j;
    -- A key that is held until the first claim is let go.
    DELETE FROM longshore.unique_key AS k USING longshore.job AS j
    WHERE j.seq = ANY (chosen) AND j.unique_for = 0
        AND k.queue = j.queue AND k.key = j.unique_key AND k.id = j.id;
END $$;
CREATE FUNCTION longshore.enqueue(given bigint, ids text[], queues text[], kinds text[], priorities smallint[], attempts integer[], due bigint[], timeouts bigint[], keys text[], hashes bigint[], scopes bigint[], tenants text[], envelopes text[], keeps text[], bodies bytea[]) RETURNS TABLE(at bigint, made text)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    now bigint := longshore.time_of(given);
    stored text[];
    twice text[];
BEGIN
    WITH made AS (
        INSERT INTO longshore.job AS j (
            enqueued_at, available_at, first_available_at, timeout, unique_hash, unique_for,
            max_attempts, priority, state, id, queue, kind, tenant, unique_key, envelope, keep, args
        )
        SELECT now, greatest(n.due, now), CASE WHEN n.due > now THEN n.due END, n.timeout, n.hash,
            n.scope, n.attempts, n.priority, CASE WHEN n.due > now THEN 0 ELSE 2 END,
            n.id, n.queue, n.kind, n.tenant, n.key, n.envelope, n.keep, n.body
        FROM unnest(
            ids, queues, kinds, priorities, attempts, due, timeouts, keys, hashes, scopes, tenants,
            envelopes, keeps, bodies
        ) WITH ORDINALITY AS n (
            id, queue, kind, priority, attempts, due, timeout, key, hash, scope, tenant, envelope,
            keep, body, place
        )
        ORDER BY n.place
        ON CONFLICT (id) DO NOTHING
        RETURNING j.id
    )
    SELECT array_agg(id) INTO stored FROM made;
    -- Whoever had the id may have ended while this waited for it. A statement of its own sees that.
    SELECT array_agg(o.id) INTO twice FROM longshore.job_over AS o WHERE o.id = ANY (stored);
    IF twice IS NOT NULL THEN
        DELETE FROM longshore.job AS j WHERE j.id = ANY (twice);
    END IF;
    RETURN QUERY SELECT now, s.id FROM unnest(stored) AS s (id)
        WHERE twice IS NULL OR s.id <> ALL (twice);
END $$;
CREATE FUNCTION longshore.heartbeat(given bigint, ids text[], tokens bigint[], extends bigint[], percents smallint[], marks bytea[]) RETURNS TABLE(place bigint, until bigint, stopped boolean)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    now bigint := longshore.time_of(given);
BEGIN
    RETURN QUERY
        -- Everybody locks jobs in the order of their seqs, so that nobody waits in a circle.
        WITH held AS MATERIALIZED (
            SELECT j.seq, b.place, now + b.extend AS until, b.percent, b.mark
            FROM unnest(ids, tokens, extends, percents, marks)
                WITH ORDINALITY AS b (id, token, extend, percent, mark, place)
            JOIN longshore.job AS j ON j.id = b.id AND j.lease_token = b.token AND j.state = 3
            ORDER BY j.seq FOR UPDATE OF j
        )
        UPDATE longshore.job AS j SET
            lease_expires_at = h.until, progress = coalesce(h.percent, j.progress),
            checkpoint = coalesce(h.mark, j.checkpoint)
        FROM held AS h WHERE j.seq = h.seq
        RETURNING h.place, h.until, j.stop > 0;
END $$;
CREATE FUNCTION longshore.remember(history text, claim integer, line text) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT CASE
        WHEN history IS NULL THEN line
        WHEN claim <= 64 THEN history || E'\n' || line
        ELSE (
            SELECT array_to_string(lines[greatest(cardinality(lines) - 63, 1):], E'\n')
            FROM (SELECT string_to_array(history || E'\n' || line, E'\n')) AS s (lines)
        )
    END
$$;
CREATE FUNCTION longshore.settle(given bigint, ids text[], tokens bigint[], states smallint[], due bigint[], outcomes text[], uncounted boolean[], rests text[], keeps text[], results bytea[]) RETURNS TABLE(place bigint, state smallint, at bigint)
    LANGUAGE plpgsql
    SET enable_seqscan TO 'off'
    SET enable_bitmapscan TO 'off'
    SET enable_hashjoin TO 'off'
    SET enable_mergejoin TO 'off'
    AS $$
#variable_conflict use_column
DECLARE
    now bigint := longshore.time_of(given);
BEGIN
    RETURN QUERY
        WITH held AS MATERIALIZED (
            SELECT j.*, e.place, e.new_state, e.due, e.outcome, e.uncounted, e.rest, e.new_keep,
                e.new_result,
                j.stop > 0 AND e.outcome <> 'lost' AND (e.new_state < 3 OR e.new_state = 5) AS stops
            FROM unnest(
                ids, tokens, states, due, outcomes, uncounted, rests, keeps, results
            ) WITH ORDINALITY AS e (
                id, token, new_state, due, outcome, uncounted, rest, new_keep, new_result, place
            )
            JOIN longshore.job AS j ON j.id = e.id AND j.lease_token = e.token AND j.state = 3
            ORDER BY j.seq FOR UPDATE OF j
        ), ended AS MATERIALIZED (
            SELECT h.*,
                CASE WHEN NOT h.stops THEN h.new_state WHEN h.stop = 2 THEN 6 ELSE 5 END::smallint
                    AS becomes,
                CASE WHEN h.uncounted AND NOT h.stops THEN greatest(h.attempt - 1, 0)
                    ELSE h.attempt END AS counted,
                longshore.remember(h.history, h.claim, concat(
                    '[', h.attempt, ',', h.claim, ',', h.available_at, ',',
                    h.claimed_at - h.available_at, ',', now - h.claimed_at, ',"',
                    CASE WHEN h.stops THEN 'cancelled' ELSE h.outcome END, '",',
                    to_json(h.worker), h.rest, ']'
                )) AS told
            FROM held AS h
        ), waits AS (
            UPDATE longshore.job AS j SET
                state = e.becomes, available_at = coalesce(e.due, now), attempt = e.counted,
                history = e.told, keep = coalesce(e.keep, e.new_keep), worker = NULL,
                claimed_at = NULL, lease_token = NULL, lease_expires_at = NULL, progress = NULL
            FROM ended AS e WHERE j.seq = e.seq AND e.becomes < 3
        ), gone AS (
            DELETE FROM longshore.job AS j USING ended AS e WHERE j.seq = e.seq AND e.becomes > 3
        ), moved AS (
            INSERT INTO longshore.job_over (
                seq, enqueued_at, available_at, first_available_at, finished_at, timeout,
                unique_hash, unique_for, attempt, claim, max_attempts, priority, state, id, queue,
                kind, tenant, unique_key, envelope, keep, history, result, args
            )
            SELECT e.seq, e.enqueued_at, e.available_at, e.first_available_at, now, e.timeout,
                e.unique_hash, e.unique_for, e.counted, e.claim, e.max_attempts, e.priority,
                e.becomes, e.id, e.queue, e.kind, e.tenant, e.unique_key, e.envelope,
                coalesce(e.keep, e.new_keep), e.told, coalesce(e.new_result, e.result), e.args
            FROM ended AS e WHERE e.becomes > 3
        ), counted AS (
            INSERT INTO longshore.tally (queue, state, jobs)
            SELECT e.queue, e.becomes, count(*) FROM ended AS e WHERE e.becomes > 3
            GROUP BY e.queue, e.becomes
        ), freed AS (
            DELETE FROM longshore.unique_key AS k USING ended AS e
            WHERE e.unique_key IS NOT NULL AND e.becomes > 3
                AND k.queue = e.queue AND k.key = e.unique_key AND k.id = e.id
                AND (k.until IS NULL OR e.becomes > 4)
        )
        SELECT e.place, e.becomes, now FROM ended AS e;
END $$;
CREATE FUNCTION longshore.time_of(given bigint) RETURNS bigint
    LANGUAGE sql
    AS $$
    SELECT coalesce(given, (extract(epoch FROM clock_timestamp()) * 1000000000)::bigint)
$$;
CREATE TABLE longshore.document (
    name text NOT NULL COLLATE pg_catalog."C",
    version bigint NOT NULL,
    body bytea NOT NULL
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='500');
CREATE TABLE longshore.job_over (
    seq bigint NOT NULL,
    enqueued_at bigint NOT NULL,
    available_at bigint NOT NULL,
    first_available_at bigint,
    finished_at bigint,
    lease_token bigint,
    lease_expires_at bigint,
    claimed_at bigint,
    timeout bigint,
    unique_hash bigint,
    unique_for bigint,
    attempt integer DEFAULT 0 NOT NULL,
    claim integer DEFAULT 0 NOT NULL,
    max_attempts integer NOT NULL,
    priority smallint NOT NULL,
    state smallint NOT NULL,
    progress smallint,
    stop smallint DEFAULT 0 NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    queue text NOT NULL COLLATE pg_catalog."C",
    kind text NOT NULL COLLATE pg_catalog."C",
    tenant text COLLATE pg_catalog."C",
    worker text COLLATE pg_catalog."C",
    unique_key text COLLATE pg_catalog."C",
    envelope text COLLATE pg_catalog."C",
    keep text COLLATE pg_catalog."C",
    history text COLLATE pg_catalog."C",
    checkpoint bytea,
    result bytea,
    args bytea NOT NULL
);
ALTER TABLE longshore.job ALTER COLUMN seq ADD GENERATED BY DEFAULT AS IDENTITY (
    SEQUENCE NAME longshore.job_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE longshore.layout (
    version integer NOT NULL
);
CREATE TABLE longshore.paused (
    queue text NOT NULL COLLATE pg_catalog."C"
);
CREATE TABLE longshore.tally (
    queue text NOT NULL COLLATE pg_catalog."C",
    state smallint NOT NULL,
    jobs bigint NOT NULL
)
WITH (autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000');
CREATE TABLE longshore.unique_key (
    queue text NOT NULL COLLATE pg_catalog."C",
    key text NOT NULL COLLATE pg_catalog."C",
    hash bigint NOT NULL,
    id text NOT NULL COLLATE pg_catalog."C",
    until bigint
)
WITH (autovacuum_vacuum_scale_factor='0.02', autovacuum_vacuum_threshold='2000');
INSERT INTO longshore.document VALUES ('d', 3, '\x626f6479');
INSERT INTO longshore.job VALUES (1, 1700000000000000000, 1700000000000000000, NULL, NULL, NULL, NULL, NULL, NULL, 5, NULL, 0, 0, 20, 2, 2, NULL, 0, 'waits', 'work', 'count', 'ann', NULL, 'key', '{"n":"ann"}', NULL, NULL, NULL, NULL, '\x7b7d');
INSERT INTO longshore.job VALUES (2, 1700000000000000000, 1700000000000000000, NULL, NULL, 77, 1700000031000000000, 1700000001000000000, NULL, NULL, NULL, 1, 1, 20, 2, 3, NULL, 0, 'runs', 'work', 'count', NULL, 'w', NULL, NULL, NULL, NULL, NULL, NULL, '\x7b7d');
INSERT INTO longshore.job_over VALUES (100, 1700000000000000000, 1700000000000000000, NULL, 1700000009000000000, NULL, NULL, NULL, NULL, NULL, NULL, 2, 2, 2, 2, 6, NULL, 0, 'over', 'work', 'count', NULL, NULL, NULL, NULL, NULL, '[1,1,1700000000000000000,5,6,"retried","w",["Luck","no \"luck\""],"0af7651916cd43dd8448eb211c80319c","b7ad6b7169203331"]
[2,2,1700000002000000000,5,6,"discarded","w",["Luck","none"]]', NULL, NULL, '\x7b7d');
INSERT INTO longshore.layout VALUES (1);
INSERT INTO longshore.tally VALUES ('work', 6, 2);
INSERT INTO longshore.tally VALUES ('work', 6, -1);
INSERT INTO longshore.unique_key VALUES ('work', 'key', 5, 'waits', NULL);
SELECT pg_catalog.setval('longshore.job_seq_seq', 2, true);
ALTER TABLE ONLY longshore.document
    ADD CONSTRAINT document_pkey PRIMARY KEY (name);
ALTER TABLE ONLY longshore.job_over
    ADD CONSTRAINT job_over_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY longshore.job
    ADD CONSTRAINT job_pkey PRIMARY KEY (seq);
ALTER TABLE ONLY longshore.paused
    ADD CONSTRAINT paused_pkey PRIMARY KEY (queue);
ALTER TABLE ONLY longshore.unique_key
    ADD CONSTRAINT unique_key_pkey PRIMARY KEY (queue, key);
CREATE UNIQUE INDEX job_id ON longshore.job USING btree (id);
CREATE INDEX job_line ON longshore.job USING btree (queue, kind, (
CASE
    WHEN (tenant IS NULL) THEN (priority)::integer
    ELSE (priority + 4)
END), available_at, seq) WHERE (state < 3);
CREATE INDEX job_over_failed ON longshore.job_over USING btree (seq) WHERE (state > 4);
CREATE INDEX job_over_finished ON longshore.job_over USING btree (state, finished_at, seq);
CREATE UNIQUE INDEX job_over_id ON longshore.job_over USING btree (id);
CREATE INDEX job_running ON longshore.job USING btree (seq) WHERE (state = 3);
CREATE INDEX job_tenant ON longshore.job USING btree (queue, tenant, kind, priority, available_at, seq) WHERE ((tenant IS NOT NULL) AND (state < 3));
CREATE INDEX job_waiting ON longshore.job USING btree (queue, priority, available_at, seq) WHERE (state < 3);
CREATE INDEX unique_key_until ON longshore.unique_key USING btree (until) WHERE (until IS NOT NULL);
