-- As pgmq/set_vt, with the function of pgmq before 1.10, which takes one message and whole seconds.
SELECT m.msg_id, m.read_ct, m.enqueued_at, {last_read_at}::timestamptz AS last_read_at, m.vt,
       m.message::text AS message, {headers}::text AS headers
FROM unnest(%(ids)b::bigint[]) AS i (id)
CROSS JOIN LATERAL pgmq.set_vt(%(queue)s::text, i.id, %(seconds)s::integer) AS m
ORDER BY m.msg_id
