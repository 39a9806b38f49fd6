-- Do not ring any more at inserts into a queue.
SELECT pgmq.disable_notify_insert(%(queue)s::text) AS done
