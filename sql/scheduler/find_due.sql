-- The numbers of schedules that are due, the longest overdue first: nothing of them that could fail to be read.
SELECT s.id
FROM {prefix}schedules s
WHERE s.namespace = %(namespace)s::text AND s.due_at <= COALESCE(%(clock)s::timestamptz, now())
ORDER BY s.due_at
LIMIT %(limit)s::bigint
