-- Take the oldest visible message out of a queue, with the function of pgmq before 1.7.
SELECT m.msg_id, m.read_ct, m.enqueued_at, {last_read_at}::timestamptz AS last_read_at, m.vt,
       m.message::text AS message, {headers}::text AS headers
FROM pgmq.pop(%(queue)s::text) AS m
