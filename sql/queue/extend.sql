-- Hold messages for longer, from now on.
UPDATE {queue} q
SET leased_until = clock_timestamp() + %(seconds)s::interval
WHERE q.ctid = ANY (ARRAY(
    SELECT held.ctid
    FROM unnest(%(ids)s::text::bigint[], %(receipts)s::text::bigint[]) AS a (id, receipt)
    CROSS JOIN LATERAL (
        SELECT m.ctid
        FROM {queue} m
        WHERE m.id = a.id AND m.receipt = a.receipt AND m.due_at IS NULL AND m.dead_at IS NULL
          AND m.leased_until > clock_timestamp()
        LIMIT 1
    ) AS held
))
RETURNING q.id
