-- Input: nothing.
-- Output: the tables of Longshore's that this user may not read and write.
SELECT c.relname::text FROM pg_class AS c
WHERE c.relkind = 'r' AND c.relnamespace = (
    SELECT n.relnamespace FROM pg_class AS n WHERE n.oid = to_regclass('longshore.layout')
) AND NOT (
    has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'UPDATE') AND has_table_privilege(c.oid, 'DELETE')
)
