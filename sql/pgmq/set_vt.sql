-- Set the moment from which messages are visible again; returns those that were there.
SELECT m.msg_id, m.read_ct, m.enqueued_at, {last_read_at}::timestamptz AS last_read_at, m.vt,
       m.message::text AS message, {headers}::text AS headers
FROM pgmq.set_vt(
    %(queue)s::text, %(ids)b::bigint[],
    COALESCE(%(due_at)s::timestamptz, clock_timestamp() + %(delay)s::interval)
) AS m
ORDER BY m.msg_id
