-- Let a queue ring again when something silenced it, and leave one alone that rings.
--
-- The throttle of pgmq is a row of an unlogged table: crash recovery empties it, and without its row the trigger does
-- nothing. A queue with the trigger was meant to ring; one without it is when `throttle_ms` says so. Enabling makes the
-- trigger anew, under a lock that waits for every writer, so that it is done in need only, and not waited for long.
SELECT pgmq.enable_notify_insert(%(queue)s::text, COALESCE(%(throttle_ms)s::integer, 250)) AS done
FROM (
    SELECT EXISTS (
               SELECT FROM pg_trigger t
               WHERE t.tgname = 'trigger_notify_queue_insert_listeners' AND t.tgrelid = to_regclass(%(table)s::text)
           ) AS has_trigger,
           EXISTS (SELECT FROM pgmq.notify_insert_throttle n WHERE n.queue_name = %(queue)s::text) AS has_throttle
) AS s
WHERE NOT (s.has_trigger AND s.has_throttle) AND (s.has_trigger OR %(throttle_ms)s::integer IS NOT NULL)
  AND (SELECT set_config('lock_timeout', '1s', true)) IS NOT NULL
