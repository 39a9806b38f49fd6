-- Lease the oldest visible messages.
--
-- Losing a read in a crash of the server only makes the messages visible again, so that it need not wait for the disk.
-- The columns in braces are those that older versions do not have.
SELECT m.msg_id, m.read_ct, m.enqueued_at, {last_read_at}::timestamptz AS last_read_at, m.vt,
       m.message::text AS message, {headers}::text AS headers
FROM pgmq.read(%(queue)s::text, %(vt)s::integer, %(qty)s::integer) AS m
WHERE %(durable)s::boolean OR (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
ORDER BY m.msg_id
