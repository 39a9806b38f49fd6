-- Move to the archive a message; false when it is gone.
SELECT pgmq.archive(%(queue)s::text, %(id)s::bigint) AS settled
