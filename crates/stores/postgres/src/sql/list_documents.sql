-- Input: the name to begin at, a name to leave out or NULL, how many.
-- Output: name and version of documents, in the order of the names' bytes.
-- Guarantee: reads one row more than it gives back at most, however many there are.
SELECT name, version FROM longshore.document
WHERE name >= $1 AND name IS DISTINCT FROM $2
ORDER BY name LIMIT $3
