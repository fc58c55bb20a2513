-- Input: nothing.
-- Output: the queues that are paused.
SELECT queue FROM longshore.paused
