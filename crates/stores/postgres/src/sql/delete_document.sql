-- Input: a name, the version it must have.
-- Output: one row less, or none if the version is another.
DELETE FROM longshore.document WHERE name = $1 AND version = $2
