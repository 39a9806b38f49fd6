-- Take a dead message out of the queue, for the dead-letter sink of the same transaction.
DELETE FROM {queue} q
WHERE q.id = %(id)s::bigint AND q.dead_at IS NOT NULL
RETURNING q.value::text AS value
