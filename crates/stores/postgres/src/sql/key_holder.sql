-- Input: the time, queue, key.
-- Output: id and hash of the job that has the key, if one does.
SELECT id, hash FROM longshore.unique_key
WHERE queue = $2 AND key = $3 AND (until IS NULL OR until > $1)
