-- What is leased to a claimer and not among what it knows of: the answer to a claim was lost with its connection.
--
-- Reads the whole table, since nothing that a claim changes is indexed; that is once for each lost connection.
SELECT q.id, q.lease, q.deliveries, q.concurrency_key, q.queue, q.priority
FROM {prefix}step_queue q
WHERE q.claimed_by = %(me)s::text AND q.id <> ALL (%(known)s::bigint[])
