-- List the routes, all or those to one queue.
SELECT b.pattern, b.queue_name AS queue, b.bound_at
FROM pgmq.list_topic_bindings() AS b
WHERE %(queue)s::text IS NULL OR b.queue_name = %(queue)s::text
ORDER BY b.pattern, b.queue_name
