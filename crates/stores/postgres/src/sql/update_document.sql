-- Input: a name, a body, the version it must have.
-- Output: one changed row, or none if the version is another.
UPDATE longshore.document SET version = version + 1, body = $2 WHERE name = $1 AND version = $3
