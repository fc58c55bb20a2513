-- Input: as mark_claimed.sql, and 16 seqs, some of which may be NULL.
-- Output: so many changed rows.
-- Guarantee: as mark_claimed.sql. Opening every index once for many rows saves a tenth of a claim.
UPDATE OR FAIL longshore_job SET
    state = 3, attempt = attempt + 1, claim = claim + 1, worker = ?2, claimed_at = ?3,
    lease_token = ?1 + (seq & 0x3fffffffffffffff), lease_expires_at = ?4, progress = NULL
WHERE seq IN (?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)
