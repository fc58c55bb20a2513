-- Input: 1 queue, 2 tenant, 3 kind, 4 priority.
-- Output: the line after that one, tenant by tenant: its kind, priority, the due time and seq of
--   its first job, and its tenant.
-- Guarantee: at most three looks at the index by tenant, however many jobs wait.
SELECT * FROM (
    SELECT kind, priority, available_at, seq, tenant
    FROM longshore_job INDEXED BY longshore_job_tenant
    WHERE state < 3 AND tenant IS NOT NULL AND queue = ?1 AND tenant = ?2 AND kind = ?3
        AND priority > ?4
    ORDER BY priority, available_at, seq LIMIT 1
) UNION ALL SELECT * FROM (
    SELECT kind, priority, available_at, seq, tenant
    FROM longshore_job INDEXED BY longshore_job_tenant
    WHERE state < 3 AND tenant IS NOT NULL AND queue = ?1 AND tenant = ?2 AND kind > ?3
    ORDER BY kind, priority, available_at, seq LIMIT 1
) UNION ALL SELECT * FROM (
    SELECT kind, priority, available_at, seq, tenant
    FROM longshore_job INDEXED BY longshore_job_tenant
    WHERE state < 3 AND tenant IS NOT NULL AND queue = ?1 AND tenant > ?2
    ORDER BY tenant, kind, priority, available_at, seq LIMIT 1
) LIMIT 1
