-- Drop a queue and its archive, with the function of pgmq 1.4, which fails when there is none, and has to be told of
-- partitions; no row when there is none.
SELECT pgmq.drop_queue(q.queue_name::text, q.is_partitioned) AS dropped
FROM pgmq.list_queues() AS q
WHERE q.queue_name = %(queue)s::text
