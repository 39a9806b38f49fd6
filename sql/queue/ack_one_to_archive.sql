-- Move a message whose lease is still held to the archive.
WITH acked AS (
    DELETE FROM {queue} q
    WHERE q.id = %(id)s::bigint AND q.receipt = %(receipt)s::bigint AND q.due_at IS NULL AND q.dead_at IS NULL
      AND q.leased_until > clock_timestamp()
      AND (SELECT %(durable)s::boolean OR set_config('synchronous_commit', 'off', true) IS NOT NULL)
    RETURNING q.id, q.value, q.headers, q.created_at, q.deliveries
), archived AS (
    INSERT INTO {archive} (id, value, headers, created_at, deliveries)
    SELECT acked.id, acked.value, acked.headers, acked.created_at, acked.deliveries
    FROM acked
)
SELECT acked.id
FROM acked
