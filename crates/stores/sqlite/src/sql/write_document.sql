-- Input: 1 name, 2 version, 3 body.
-- Output: one row, new or replaced.
-- Guarantee: run in the transaction that checked the version before.
INSERT INTO longshore_document (name, version, body) VALUES (?1, ?2, ?3)
ON CONFLICT (name) DO UPDATE SET version = excluded.version, body = excluded.body
