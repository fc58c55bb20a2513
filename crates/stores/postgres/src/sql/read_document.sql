-- Input: a name.
-- Output: version and body, if the document is there.
SELECT version, body FROM longshore.document WHERE name = $1
