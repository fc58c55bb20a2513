-- Input: 1 queue, 2 kind, 3 priority, 4 now, 5 limit, 6 how many to pass over, 7 tenant.
-- Output: due time and seq of the jobs of one tenant that may be claimed, in the order of claims.
-- Guarantee: reads the index by tenant alone, at most as many entries as it gives and passes over.
SELECT available_at, seq, NULL FROM longshore_job INDEXED BY longshore_job_tenant
WHERE state < 3 AND tenant IS NOT NULL AND tenant = ?7
    AND queue = ?1 AND kind = ?2 AND priority = ?3 AND available_at <= ?4
ORDER BY available_at, seq LIMIT ?5 OFFSET ?6
