-- Move messages whose lease is still held to the archive.
WITH acked AS (
    DELETE FROM {queue} q
    WHERE q.ctid = ANY (ARRAY(
        SELECT held.ctid
        FROM unnest((SELECT %(ids)s::text::bigint[]), (SELECT %(receipts)s::text::bigint[])) AS a (id, receipt)
        CROSS JOIN LATERAL (
            SELECT m.ctid
            FROM {queue} m
            WHERE m.id = a.id AND m.receipt = a.receipt AND m.due_at IS NULL AND m.dead_at IS NULL
              AND m.leased_until > clock_timestamp()
            LIMIT 1
        ) AS held
    ))
      AND (SELECT %(durable)s::boolean OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
    RETURNING q.id, q.value, q.headers, q.created_at, q.deliveries
), archived AS (
    INSERT INTO {archive} (id, value, headers, created_at, deliveries)
    SELECT acked.id, acked.value, acked.headers, acked.created_at, acked.deliveries
    FROM acked
)
SELECT acked.id
FROM acked
