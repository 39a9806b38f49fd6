-- Ring at each insert into a queue, with the function of pgmq 1.7, which fails when that is so already.
SELECT pgmq.enable_notify_insert(%(queue)s::text) AS done
WHERE NOT EXISTS (
    SELECT FROM pg_trigger t
    WHERE t.tgname = 'trigger_notify_queue_insert_listeners' AND t.tgrelid = to_regclass(%(table)s::text)
)
