-- Input: 1 the name to begin at, 2 how many.
-- Output: name and version of documents, in the order of the names' bytes.
-- Guarantee: reads no more rows than it gives back.
SELECT name, version FROM longshore_document WHERE name >= ?1 ORDER BY name LIMIT ?2
