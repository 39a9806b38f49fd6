-- Note that a migration was applied; its row is there already when it ran outside of a transaction.
INSERT INTO {migrations} (version, name, checksum, applied_at, duration)
VALUES (%(version)s::integer, %(name)s::text, %(checksum)s::text, clock_timestamp(), %(duration)s::interval)
ON CONFLICT (version) DO UPDATE SET applied_at = excluded.applied_at, duration = excluded.duration
RETURNING applied_at
