-- Input: the schema of layout version 2.
-- Output: the functions of layout version 3. The tables stay, and so do the functions that programs
--   which run meanwhile call.
--
-- What is over for sure is not locked first and looked for again: it is deleted where it is found.

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
        -- Everybody locks jobs in the order of their ids, so that nobody waits in a circle.
        WITH held AS MATERIALIZED (
            SELECT j.seq, b.place, now + b.extend AS until, b.percent, b.mark
            FROM unnest(ids, tokens, extends, percents, marks)
                WITH ORDINALITY AS b (id, token, extend, percent, mark, place)
            JOIN longshore.job AS j ON j.id = b.id AND j.lease_token = b.token
            ORDER BY j.id FOR UPDATE OF j
        )
        UPDATE longshore.job AS j SET
            lease_expires_at = h.until, progress = coalesce(h.percent, j.progress),
            checkpoint = coalesce(h.mark, j.checkpoint)
        FROM held AS h WHERE j.seq = h.seq
        RETURNING h.place, h.until, j.stop > 0;
END $$;

-- Input: the history of a job, and the attempt that ended: how often the job was claimed, its number,
--   when the job was due, was claimed and is settled, the outcome, the worker, the rest of its line.
-- Output: the history with the attempt; the last 64 lines.
CREATE FUNCTION longshore.told(
    history text, claim int, attempt int, due bigint, claimed bigint, settled bigint, outcome text,
    worker text, rest text
) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT concat(
        CASE
            WHEN claim <= 64 THEN history || E'\n'
            ELSE array_to_string(
                (string_to_array(history, E'\n'))[greatest(
                    cardinality(string_to_array(history, E'\n')) - 62, 1
                ):], E'\n'
            ) || E'\n'
        END,
        '[', attempt, ',', claim, ',', due, ',', claimed - due, ',', settled - claimed, ',"', outcome,
        '",', to_json(worker), rest, ']'
    )
$$;

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
    -- Jobs that are over now, whatever else they were asked.
    IF 3 < ANY (states) THEN
        RETURN QUERY
            WITH gone AS (
                DELETE FROM longshore.job AS j USING (
                    SELECT e.* FROM unnest(
                        ids, tokens, states, outcomes, uncounted, rests, keeps, results
                    ) WITH ORDINALITY AS e (
                        id, token, new_state, outcome, uncounted, rest, new_keep, new_result, place
                    )
                    -- Everybody locks jobs in the order of their ids.
                    WHERE e.new_state > 3 ORDER BY e.id COLLATE "C"
                ) AS e
                WHERE j.id = e.id AND j.lease_token = e.token
                RETURNING e.place,
                    CASE WHEN j.stop = 2 AND e.new_state = 5 AND e.outcome <> 'lost' THEN 6
                        ELSE e.new_state END::smallint AS becomes,
                    j.seq, j.enqueued_at, j.available_at, j.first_available_at, j.timeout,
                    j.unique_hash, j.unique_for,
                    CASE WHEN e.uncounted AND (j.stop = 0 OR e.new_state <> 5 OR e.outcome = 'lost')
                        THEN greatest(j.attempt - 1, 0) ELSE j.attempt END AS counted,
                    j.claim, j.max_attempts, j.priority, j.id, j.queue, j.kind, j.tenant,
                    j.unique_key, j.envelope, coalesce(j.keep, e.new_keep) AS keep,
                    longshore.told(
                        j.history, j.claim, j.attempt, j.available_at, j.claimed_at, now,
                        CASE WHEN j.stop > 0 AND e.new_state = 5 AND e.outcome <> 'lost'
                            THEN 'cancelled' ELSE e.outcome END,
                        j.worker, e.rest
                    ) AS told,
                    coalesce(e.new_result, j.result) AS result, j.args
            ), moved AS (
                INSERT INTO longshore.job_over (
                    seq, enqueued_at, available_at, first_available_at, finished_at, timeout,
                    unique_hash, unique_for, attempt, claim, max_attempts, priority, state, id,
                    queue, kind, tenant, unique_key, envelope, keep, history, result, args
                )
                SELECT g.seq, g.enqueued_at, g.available_at, g.first_available_at, now, g.timeout,
                    g.unique_hash, g.unique_for, g.counted, g.claim, g.max_attempts, g.priority,
                    g.becomes, g.id, g.queue, g.kind, g.tenant, g.unique_key, g.envelope, g.keep,
                    g.told, g.result, g.args
                FROM gone AS g
            ), counted AS (
                INSERT INTO longshore.tally (queue, state, jobs)
                SELECT g.queue, g.becomes, count(*) FROM gone AS g GROUP BY g.queue, g.becomes
            ), freed AS (
                DELETE FROM longshore.unique_key AS k USING gone AS g
                WHERE g.unique_key IS NOT NULL
                    AND k.queue = g.queue AND k.key = g.unique_key AND k.id = g.id
                    AND (k.until IS NULL OR g.becomes > 4)
            )
            SELECT g.place, g.becomes, now FROM gone AS g;
    END IF;
    -- Those that wait again, unless they were asked to stop: locked first, so that nobody asks
    -- meanwhile.
    IF 3 > ANY (states) THEN
        RETURN QUERY
            WITH held AS MATERIALIZED (
                SELECT j.*, e.place, e.new_state, e.due, e.outcome, e.uncounted, e.rest, e.new_keep,
                    e.new_result, j.stop > 0 AND e.outcome <> 'lost' AS stops
                FROM unnest(
                    ids, tokens, states, due, outcomes, uncounted, rests, keeps, results
                ) WITH ORDINALITY AS e (
                    id, token, new_state, due, outcome, uncounted, rest, new_keep, new_result, place
                )
                JOIN longshore.job AS j ON j.id = e.id AND j.lease_token = e.token
                WHERE e.new_state < 3
                ORDER BY j.id FOR UPDATE OF j
            ), ended AS MATERIALIZED (
                SELECT h.*,
                    CASE WHEN NOT h.stops THEN h.new_state WHEN h.stop = 2 THEN 6 ELSE 5
                        END::smallint AS becomes,
                    CASE WHEN h.uncounted AND NOT h.stops THEN greatest(h.attempt - 1, 0)
                        ELSE h.attempt END AS counted,
                    longshore.told(
                        h.history, h.claim, h.attempt, h.available_at, h.claimed_at, now,
                        CASE WHEN h.stops THEN 'cancelled' ELSE h.outcome END, h.worker, h.rest
                    ) AS told
                FROM held AS h
            ), waits AS (
                UPDATE longshore.job AS j SET
                    state = e.becomes, available_at = coalesce(e.due, now), attempt = e.counted,
                    history = e.told, keep = coalesce(e.keep, e.new_keep), worker = NULL,
                    claimed_at = NULL, lease_token = NULL, lease_expires_at = NULL, progress = NULL
                FROM ended AS e WHERE j.seq = e.seq AND e.becomes < 3
            ), gone AS (
                DELETE FROM longshore.job AS j USING ended AS e
                WHERE j.seq = e.seq AND e.becomes > 3
            ), moved AS (
                INSERT INTO longshore.job_over (
                    seq, enqueued_at, available_at, first_available_at, finished_at, timeout,
                    unique_hash, unique_for, attempt, claim, max_attempts, priority, state, id,
                    queue, kind, tenant, unique_key, envelope, keep, history, result, args
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
    END IF;
END $$;
