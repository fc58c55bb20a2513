-- Input: 1 name.
-- Output: the row is gone.
-- Guarantee: run in the transaction that checked the version before.
DELETE FROM longshore_document WHERE name = ?1
