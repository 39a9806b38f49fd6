-- Note that a migration begins that cannot run in a transaction; again, when it is run again after it was cut short.
INSERT INTO {migrations} (version, name, checksum)
VALUES (%(version)s::integer, %(name)s::text, %(checksum)s::text)
ON CONFLICT (version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum
