-- Input: the time or NULL, then columns of beats; see the function.
-- Output: of each lease that holds: place of its beat, its new end, whether to stop.
-- Guarantee: a lost lease changes nothing.
SELECT place, until, stopped FROM longshore.heartbeat($1, $2, $3, $4, $5, $6)
