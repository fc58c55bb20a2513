-- Input: the channel.
-- Output: whoever listens is woken once this commits.
SELECT pg_notify($1, '')
