-- Append a message to every queue that its key is routed to; returns to how many.
SELECT pgmq.send_topic(
    %(routing_key)s::text, %(message)s::text::jsonb, %(headers)s::text::jsonb, %(seconds)s::integer
) AS matched
