-- Input: 1 now, 2 limit.
-- Output: the deleted rows, at most so many.
-- Guarantee: no key whose window lasts is let go.
DELETE FROM longshore_reservation WHERE (queue, unique_key) IN (
    SELECT queue, unique_key FROM longshore_reservation WHERE until <= ?1 LIMIT ?2
)
