-- Input: the time or NULL, then columns of ends of attempts; see the function.
-- Output: of each lease that was held: place of its end, state, time.
-- Guarantee: a lost lease changes nothing.
SELECT place, state, at FROM longshore.settle($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
