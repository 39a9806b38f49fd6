-- Let go of a consumer, so that another reader has it at once.
UPDATE {prefix}change_consumers AS c
SET token = NULL, holder = NULL, expires_at = NULL
WHERE c.stream = %(stream)s::integer AND c.consumer = %(consumer)s::text AND c.token = %(token)s::uuid
