-- Input: a name, a body.
-- Output: one row more, or none if the document is there.
INSERT INTO longshore.document (name, version, body) VALUES ($1, 1, $2) ON CONFLICT DO NOTHING
