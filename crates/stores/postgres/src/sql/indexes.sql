-- Input: nothing.
-- Output: the indexes of Longshore's tables that can be used.
SELECT c.relname::text FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_class AS t ON t.oid = i.indrelid
WHERE i.indisvalid AND i.indisready AND t.relnamespace = (
    SELECT n.relnamespace FROM pg_class AS n WHERE n.oid = to_regclass('longshore.layout')
)
