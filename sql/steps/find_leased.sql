-- What is needed to settle tasks of ours of which only the ids are known.
SELECT q.id, q.lease, q.deliveries, q.queue, q.priority, q.concurrency_key
FROM {prefix}step_queue q
WHERE q.id = ANY ((SELECT %(ids)b::bigint[])::bigint[]) AND q.claimed_by = %(me)s::text
