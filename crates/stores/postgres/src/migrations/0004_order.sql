-- Input: the schema of layout version 3.
-- Output: the functions of layout version 4. The tables stay; programs that run meanwhile call the
--   same functions.
--
-- What was one settle is now a part of it, and what comes before it locks jobs in one order, also
-- where some are over and others wait again, which are ended by two statements.

ALTER FUNCTION longshore.settle(
    bigint, text[], bigint[], smallint[], bigint[], text[], boolean[], text[], text[], bytea[]
) RENAME TO settle_in_order;

-- Input: the time or NULL; the ends of attempts of distinct jobs, column by column: the state that
--   follows, when the job is due again (NULL: now), the outcome as text, whether the attempt does
--   not count, what follows the worker in the line of the history, the decision to keep or NULL,
--   the result or NULL.
-- Output: of each lease that was held: the place of its end from 1, the state the job is in, the
--   time.
-- Guarantee: that of settle_in_order; and jobs are locked in the order of their ids, as everybody
--   does, so that nobody waits in a circle.
CREATE FUNCTION longshore.settle(
    given bigint, ids text[], tokens bigint[], states smallint[], due bigint[], outcomes text[],
    uncounted boolean[], rests text[], keeps text[], results bytea[]
) RETURNS TABLE (place bigint, state smallint, at bigint) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_bitmapscan = off
SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_generic_plan
AS $$
#variable_conflict use_column
BEGIN
    IF 3 < ANY (states) AND 3 > ANY (states) THEN
        PERFORM FROM longshore.job AS j WHERE j.id = ANY (ids) ORDER BY j.id FOR UPDATE;
    END IF;
    RETURN QUERY SELECT e.place, e.state, e.at FROM longshore.settle_in_order(
        given, ids, tokens, states, due, outcomes, uncounted, rests, keeps, results
    ) AS e;
END $$;
