-- Input: 1 seq, 2 unique_hash, 3 state, 4 priority, 5 available_at, 6 first_available_at or NULL
--   to leave it, 7 outside, 8 args or NULL if they lie outside.
-- Output: one changed row.
-- Guarantee: the job keeps its id, its attempts and its envelope.
UPDATE longshore_job SET
    unique_hash = ?2, state = ?3, priority = ?4, available_at = ?5,
    first_available_at = ifnull(?6, first_available_at), outside = ?7, args = ?8
WHERE seq = ?1
