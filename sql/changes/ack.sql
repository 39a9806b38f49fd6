-- Move a consumer to a position, under its lease. One that was taken over has another token, and nothing is written.
UPDATE {prefix}change_consumers AS c
SET position = %(position)s::text, acked_at = clock_timestamp()
WHERE c.stream = %(stream)s::integer AND c.consumer = %(consumer)s::text AND c.token = %(token)s::uuid
RETURNING c.acked_at
