-- Input: the columns of a job that does not run, in the order of the list below.
-- Output: one changed row, or none if a job with this id is there already, or has the unique key.
-- Guarantee: never a second job with an id, never a second one that has a unique key.
INSERT INTO longshore_job (
    id, queue, kind, priority, state, attempt, claim, max_attempts, enqueued_at, available_at,
    first_available_at, finished_at, timeout, unique_key, unique_hash, unique_for, outside,
    envelope, keep, result, args, history, tenant
) VALUES (
    ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21,
    ?22, ?23
)
ON CONFLICT DO NOTHING
