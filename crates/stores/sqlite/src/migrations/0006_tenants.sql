-- Input: the tables of schema version 5.
-- Output: those of version 6: waiting jobs are indexed by kind, those of tenants also by tenant.
-- Guarantee: no job changes; a row is written again only if its job has a tenant.

-- On whose behalf the job runs, as the envelope says; never changes.
ALTER TABLE longshore_job ADD COLUMN tenant TEXT;

DROP INDEX longshore_job_waiting;

UPDATE longshore_job SET tenant = envelope ->> '$.n'
WHERE envelope GLOB '{*"n":"*' AND json_valid(envelope) AND envelope ->> '$.n' <> '';

-- What can be claimed, line by line: the jobs of a queue, kind and lane, in the order of claims. The
-- lane is the priority, and 4 more if the job has a tenant, so that those without stand apart.
CREATE INDEX longshore_job_waiting ON longshore_job (
    queue, kind, CASE WHEN tenant IS NULL THEN priority ELSE priority + 4 END, available_at
) WHERE state < 3;

-- The same of tenants, tenant by tenant.
CREATE INDEX longshore_job_tenant
    ON longshore_job (queue, tenant, kind, priority, available_at)
    WHERE tenant IS NOT NULL AND state < 3;
