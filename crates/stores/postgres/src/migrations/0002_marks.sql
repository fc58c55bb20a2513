-- Input: the schema of layout version 1.
-- Output: the functions of layout version 2. The tables stay, and so do the functions that programs
--   which run meanwhile call.
--
-- Conditions on the state of a job are left out where others say as much, or are written so that
-- no partial index can serve them: a plan that was made when little ran or waited would read all
-- that runs or waits to find one job. So each statement has one right plan, which is made once for a
-- connection.

-- Input: the time; distinct queues; how many jobs; which slot the first of them is; for each queue
--   and priority the place in the line where to begin, or NULL to begin at the beginning.
-- Output: the seqs of the jobs for the slots, in their order, which are locked; for each priority
--   whether no due job is left; the queues that are not paused.
-- Guarantee: by priority, then due time; but the slot that leaves 7 divided by 8 goes to the
--   longest due job of a lower priority than the best one due. Nothing of a paused queue, and
--   nothing that another claim has locked.
CREATE FUNCTION longshore.choose(
    now bigint, queues text[], wanted int, turn int, mark_dues bigint[], mark_seqs bigint[],
    OUT taken bigint[], OUT drained boolean[], OUT opened text[]
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
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
BEGIN
    taken := '{}';
    opened := ARRAY(
        SELECT q.name FROM unnest(queues) AS q (name)
        WHERE NOT EXISTS (SELECT FROM longshore.paused AS p WHERE p.queue = q.name)
    );
    FOR urgency IN 1..4 LOOP
        need := greatest(wanted - cardinality(seqs), for_lower);
        found_seqs := NULL;
        IF need > 0 AND mark_dues IS NULL THEN
            SELECT array_agg(f.seq ORDER BY f.available_at, f.seq),
                array_agg(f.available_at ORDER BY f.available_at, f.seq)
            INTO found_seqs, found_dues
            FROM unnest(opened) AS q (name) CROSS JOIN LATERAL (
                SELECT j.seq, j.available_at FROM longshore.job AS j
                WHERE j.queue = q.name AND j.priority = urgency AND j.available_at <= now
                    AND j.state < 3
                ORDER BY j.available_at, j.seq
                LIMIT need FOR UPDATE SKIP LOCKED
            ) AS f;
        ELSIF need > 0 THEN
            SELECT array_agg(f.seq ORDER BY f.available_at, f.seq),
                array_agg(f.available_at ORDER BY f.available_at, f.seq)
            INTO found_seqs, found_dues
            FROM unnest(queues) WITH ORDINALITY AS q (name, place) CROSS JOIN LATERAL (
                SELECT j.seq, j.available_at FROM longshore.job AS j
                WHERE j.queue = q.name AND j.priority = urgency AND j.available_at <= now
                    AND (j.available_at, j.seq) >= (
                        mark_dues[q.place::int * 4 - 4 + urgency],
                        mark_seqs[q.place::int * 4 - 4 + urgency]
                    )
                    AND j.state < 3
                ORDER BY j.available_at, j.seq
                LIMIT need FOR UPDATE SKIP LOCKED
            ) AS f
            WHERE q.name = ANY (opened);
        END IF;
        drained := drained || (need > 0 AND coalesce(cardinality(found_seqs), 0) < need);
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
        taken := seqs[1:wanted];
        RETURN;
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
    FOR urgency IN 1..4 LOOP
        drained[urgency] := drained[urgency] AND heads[urgency] > ends[urgency];
    END LOOP;
END $$;

-- Input: the time or NULL; the seqs of the jobs in the order of their slots, or NULL to choose
--   `wanted` of `queues` here, beginning at the marks; for how long they are leased, to whom; what
--   is added to a seq to make its token.
-- Output: where they were chosen here, first a row without a slot, which tells the time, how many
--   microseconds it took to choose, the queues that are not paused, and for each priority whether
--   no due job is left. Then the jobs as they are now, with their slots.
-- Guarantee: each job is claimed by one claim alone.
CREATE FUNCTION longshore.claim(
    given bigint, queues text[], wanted int, turn int, mark_dues bigint[], mark_seqs bigint[],
    chosen bigint[], lease bigint, holder text, base bigint
) RETURNS TABLE (
    slot bigint, at bigint, took bigint, opened text[], drained boolean[],
    seq bigint, id text, queue text, kind text, priority smallint, state smallint, attempt
    int, claim int, max_attempts int, enqueued_at bigint, available_at bigint,
    first_available_at bigint, finished_at bigint, lease_expires_at bigint, claimed_at bigint,
    worker text, progress smallint, stop smallint, timeout bigint, unique_key text,
    unique_hash bigint, unique_for bigint, envelope text, keep text, history text, checkpoint
    bytea, result bytea, args bytea
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
DECLARE
    now bigint := longshore.time_of(given);
    begun timestamptz := clock_timestamp();
BEGIN
    IF chosen IS NULL THEN
        SELECT c.taken, c.opened, c.drained INTO chosen, opened, drained
        FROM longshore.choose(now, queues, wanted, turn, mark_dues, mark_seqs) AS c;
        at := now;
        took := extract(epoch FROM clock_timestamp() - begun) * 1000000;
        RETURN NEXT;
    ELSE
        chosen := ARRAY(
            SELECT c.seq FROM unnest(chosen) WITH ORDINALITY AS c (seq, place)
            CROSS JOIN LATERAL (
                SELECT FROM longshore.job AS j
                WHERE j.seq = c.seq AND j.state + 0 < 3 AND j.available_at <= now
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
        WHERE j.seq = c.seq
        RETURNING c.slot, NULL::bigint, NULL::bigint, NULL::text[], NULL::boolean[],
            j.seq, j.id, j.queue, j.kind, j.priority, j.state, j.attempt, j.claim,
            j.max_attempts, j.enqueued_at, j.available_at, j.first_available_at,
            j.finished_at, j.lease_expires_at, j.claimed_at, j.worker, j.progress,
            j.stop, j.timeout, j.unique_key, j.unique_hash, j.unique_for,
            j.envelope, j.keep, j.history, j.checkpoint, j.result, j.args;
    -- A key that is held until the first claim is let go.
    DELETE FROM longshore.unique_key AS k USING longshore.job AS j
    WHERE j.seq = ANY (chosen) AND j.unique_for = 0
        AND k.queue = j.queue AND k.key = j.unique_key AND k.id = j.id;
END $$;

-- Input: the time or NULL; beats for distinct jobs, column by column; `percents` and `marks` may
--   be NULL to leave what is there.
-- Output: of each lease that holds: the place of its beat from 1, its new end, whether someone
--   asked the job to stop.
-- Guarantee: a lost lease changes nothing.
CREATE OR REPLACE FUNCTION longshore.heartbeat(
    given bigint, ids text[], tokens bigint[], extends bigint[], percents smallint[], marks bytea[]
) RETURNS TABLE (place bigint, until bigint, stopped boolean) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
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
            JOIN longshore.job AS j ON j.id = b.id AND j.lease_token = b.token
            ORDER BY j.seq FOR UPDATE OF j
        )
        UPDATE longshore.job AS j SET
            lease_expires_at = h.until, progress = coalesce(h.percent, j.progress),
            checkpoint = coalesce(h.mark, j.checkpoint)
        FROM held AS h WHERE j.seq = h.seq
        RETURNING h.place, h.until, j.stop > 0;
END $$;

-- Input: the time or NULL; the ends of attempts of distinct jobs, column by column: the state that
--   follows, when the job is due again (NULL: now), the outcome as text, whether the attempt does
--   not count, what follows the worker in the line of the history, the decision to keep or NULL,
--   the result or NULL.
-- Output: of each lease that was held: the place of its end from 1, the state the job is in, the
--   time.
-- Guarantee: a lost lease changes nothing. A job that was asked to stop does not wait again. What
--   is over moves to job_over, is counted, and lets go of its key unless that is for a window.
CREATE OR REPLACE FUNCTION longshore.settle(
    given bigint, ids text[], tokens bigint[], states smallint[], due bigint[], outcomes text[],
    uncounted boolean[], rests text[], keeps text[], results bytea[]
) RETURNS TABLE (place bigint, state smallint, at bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
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
            JOIN longshore.job AS j ON j.id = e.id AND j.lease_token = e.token
            ORDER BY j.seq FOR UPDATE OF j
        ), ended AS MATERIALIZED (
            SELECT h.*,
                CASE WHEN NOT h.stops THEN h.new_state WHEN h.stop = 2 THEN 6 ELSE 5 END::smallint
                    AS becomes,
                CASE WHEN h.uncounted AND NOT h.stops THEN greatest(h.attempt - 1, 0)
                    ELSE h.attempt END AS counted,
                CASE
                    WHEN h.history IS NULL THEN l.line
                    WHEN h.claim <= 64 THEN h.history || E'\n' || l.line
                    ELSE longshore.remember(h.history, h.claim, l.line)
                END AS told
            FROM held AS h CROSS JOIN LATERAL (
                SELECT concat(
                    '[', h.attempt, ',', h.claim, ',', h.available_at, ',',
                    h.claimed_at - h.available_at, ',', now - h.claimed_at, ',"',
                    CASE WHEN h.stops THEN 'cancelled' ELSE h.outcome END, '",',
                    to_json(h.worker), h.rest, ']'
                ) OFFSET 0
            ) AS l (line)
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

ALTER FUNCTION longshore.enqueue(
    bigint, text[], text[], text[], smallint[], int[], bigint[], bigint[], text[], bigint[], bigint[],
    text[], text[], text[], bytea[]
) SET jit = off SET plan_cache_mode = force_generic_plan;
