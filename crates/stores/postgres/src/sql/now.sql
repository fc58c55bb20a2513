-- Input: nothing.
-- Output: the server's time.
SELECT longshore.time_of(NULL)
