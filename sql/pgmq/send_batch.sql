-- Append messages, in their order.
SELECT s.id
FROM pgmq.send_batch(
    %(queue)s::text, %(messages)b::text[]::jsonb[], %(headers)b::text[]::jsonb[],
    COALESCE(%(due_at)s::timestamptz, clock_timestamp() + %(delay)s::interval)
) AS s (id)
ORDER BY s.id
