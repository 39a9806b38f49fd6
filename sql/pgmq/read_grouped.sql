-- Lease messages in the order of their group, as many as possible of the oldest group first. As pgmq/read.
SELECT m.msg_id, m.read_ct, m.enqueued_at, {last_read_at}::timestamptz AS last_read_at, m.vt,
       m.message::text AS message, {headers}::text AS headers
FROM pgmq.read_grouped(%(queue)s::text, %(vt)s::integer, %(qty)s::integer) AS m
WHERE %(durable)s::boolean OR (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
ORDER BY m.msg_id
