-- Take the lease on a consumer, if it is free: new, released, or run out. Gives the position where it goes on.
--
-- A token that is there already is our own, when the answer was lost. A new consumer begins at the position given.
INSERT INTO {prefix}change_consumers AS c (stream, consumer, position, token, holder, expires_at)
VALUES (
    %(stream)s::integer, %(consumer)s::text, %(position)s::text, %(token)s::uuid, %(holder)s::text,
    clock_timestamp() + %(duration)s::interval
)
ON CONFLICT (stream, consumer) DO UPDATE
SET token = EXCLUDED.token, holder = EXCLUDED.holder, expires_at = EXCLUDED.expires_at
WHERE c.token IS NULL OR c.expires_at <= clock_timestamp() OR c.token = EXCLUDED.token
RETURNING c.position
