-- Delete a message; false when it is gone.
SELECT pgmq."delete"(%(queue)s::text, %(id)s::bigint) AS settled
