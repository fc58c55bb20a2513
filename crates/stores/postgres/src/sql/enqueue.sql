-- Input: the time or NULL, then columns of new jobs; see the function.
-- Output: the time and the id of each job that was stored.
-- Guarantee: never a second job with an id.
SELECT at, made FROM longshore.enqueue($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
