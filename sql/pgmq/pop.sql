-- Take the oldest visible messages out of a queue.
SELECT m.msg_id, m.read_ct, m.enqueued_at, {last_read_at}::timestamptz AS last_read_at, m.vt,
       m.message::text AS message, {headers}::text AS headers
FROM pgmq.pop(%(queue)s::text, %(qty)s::integer) AS m
ORDER BY m.msg_id
