-- Give messages back that were fetched and not handed out: as if they had never been delivered.
UPDATE {queue} q
SET leased_until = NULL, receipt = NULL, deliveries = q.deliveries - 1
WHERE q.ctid = ANY (ARRAY(
    SELECT held.ctid
    FROM unnest(%(ids)s::text::bigint[], %(receipts)s::text::bigint[]) AS a (id, receipt)
    CROSS JOIN LATERAL (
        SELECT m.ctid
        FROM {queue} m
        WHERE m.id = a.id AND m.receipt = a.receipt AND m.due_at IS NULL AND m.dead_at IS NULL
        LIMIT 1
    ) AS held
))
  AND (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
RETURNING q.id
