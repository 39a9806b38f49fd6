-- Append a message.
--
-- The moment it becomes visible is always given: the functions without it add a call each, and know whole seconds only.
SELECT s.id
FROM pgmq.send(
    %(queue)s::text, %(message)s::text::jsonb, %(headers)s::text::jsonb,
    COALESCE(%(due_at)s::timestamptz, clock_timestamp() + %(delay)s::interval)
) AS s (id)
