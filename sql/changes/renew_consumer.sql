-- Hold a consumer for longer. One that ran out and that nobody took is still ours.
UPDATE {prefix}change_consumers AS c
SET expires_at = clock_timestamp() + %(duration)s::interval
WHERE c.stream = %(stream)s::integer AND c.consumer = %(consumer)s::text AND c.token = %(token)s::uuid
RETURNING c.expires_at
