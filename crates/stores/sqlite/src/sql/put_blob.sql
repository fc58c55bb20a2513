-- Input: 1 key, 2 body.
-- Output: one row, new or replaced.
-- Guarantee: the value under the key is the given one.
INSERT INTO longshore_blob (key, body) VALUES (?1, ?2)
ON CONFLICT (key) DO UPDATE SET body = excluded.body
