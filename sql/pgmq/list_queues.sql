-- List the queues of this database, or the one of a name.
SELECT q.queue_name::text AS name, q.is_partitioned, q.is_unlogged, q.created_at
FROM pgmq.list_queues() AS q
WHERE %(queue)s::text IS NULL OR q.queue_name = %(queue)s::text
ORDER BY q.queue_name
