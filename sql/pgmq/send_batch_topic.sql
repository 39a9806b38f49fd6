-- Append messages to every queue that their key is routed to.
SELECT s.queue_name AS queue, s.msg_id
FROM pgmq.send_batch_topic(
    %(routing_key)s::text, %(messages)b::text[]::jsonb[], %(headers)b::text[]::jsonb[],
    COALESCE(%(due_at)s::timestamptz, clock_timestamp() + %(delay)s::interval)
) AS s
ORDER BY s.queue_name, s.msg_id
