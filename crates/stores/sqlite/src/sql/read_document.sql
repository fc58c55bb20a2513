-- Input: 1 name.
-- Output: version and body, if the document is there.
-- Guarantee: at most one row.
SELECT version, body FROM longshore_document WHERE name = ?1
