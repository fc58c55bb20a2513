-- Input: the beginning of the names, the name to come after or NULL, how many.
-- Output: name and version, in the order of the names' bytes.
SELECT name, version FROM longshore.document
WHERE name >= $1 AND ($2::text IS NULL OR name > $2) AND starts_with(name, $1)
ORDER BY name LIMIT $3
