-- Ring at each insert into a queue, but not more often than every so many milliseconds.
SELECT pgmq.enable_notify_insert(%(queue)s::text, %(throttle_ms)s::integer) AS done
