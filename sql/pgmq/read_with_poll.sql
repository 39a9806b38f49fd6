-- Lease the oldest visible messages; while there are none, the server looks again. As pgmq/read.
--
-- The lease is counted from when the server was asked, so that the consumer, whose clock is another one, can tell when it
-- ends at the earliest.
SELECT m.msg_id, m.read_ct, m.enqueued_at, {last_read_at}::timestamptz AS last_read_at, m.vt,
       m.message::text AS message, {headers}::text AS headers, m.vt - statement_timestamp() AS lease
FROM pgmq.read_with_poll(%(queue)s::text, %(vt)s::integer, %(qty)s::integer, %(max_poll_seconds)s::integer, %(poll_interval_ms)s::integer) AS m
WHERE %(durable)s::boolean OR (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
ORDER BY m.msg_id
