-- Begin to live as a worker.
INSERT INTO {prefix}workers (id, expires_at)
VALUES (%(me)s::text, clock_timestamp() + %(lease)s::interval)
ON CONFLICT (id) DO UPDATE
SET seen_at = clock_timestamp(), expires_at = excluded.expires_at
