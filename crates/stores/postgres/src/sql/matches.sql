-- What list.sql asks of a job, as far as a few columns tell.
a.seq < $1 AND a.seq >= $2 AND a.state = ANY ($3::smallint[])
AND ($6::text IS NULL OR a.queue = $6) AND ($7::text IS NULL OR a.kind = $7)
AND ($8::bigint IS NULL OR a.enqueued_at >= $8)
AND ($9::bigint IS NULL OR a.enqueued_at < $9)
AND NOT EXISTS (
    SELECT FROM unnest($10::text[]) AS t (part)
    WHERE a.envelope IS NULL OR strpos(a.envelope, t.part) = 0
)
AND ($11::text IS NULL OR a.id = $11 OR strpos(a.envelope, $12::text) > 0)
AND NOT EXISTS (
    SELECT FROM unnest($13::text[]) AS t (part)
    WHERE a.history IS NULL OR strpos(a.history, t.part) = 0
)
