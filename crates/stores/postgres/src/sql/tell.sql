-- Input: the channel.
-- Output: whoever listens is woken once this commits, which does not wait for the disk: who is not
--   woken looks for itself.
SELECT pg_notify($1, ''), set_config('synchronous_commit', 'off', true)
