-- Dead messages with the last error of each, oldest first.
SELECT q.id, q.value::text AS value, q.headers::text AS headers, q.created_at, q.deliveries, q.dead_at, q.error
FROM {queue} q
WHERE q.dead_at IS NOT NULL
ORDER BY q.id
LIMIT %(limit)s::bigint
