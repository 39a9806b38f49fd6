-- Append a record of a caller's own to the log of a table, and ring if a reader waits (see queue/publish.sql).
WITH stream AS (
    SELECT s.id, s.channel, s.door
    FROM {prefix}change_streams AS s
    WHERE s.table_schema = %(table_schema)s::text AND s.table_name = %(table_name)s::text
), added AS (
    INSERT INTO {prefix}changes (stream, op, rows, bytes, new)
    SELECT stream.id, 'notify', 1, octet_length(%(value)s::text), ARRAY[%(value)s::text::json]
    FROM stream
    RETURNING stream
)
SELECT a.stream
FROM added AS a
WHERE (
    SELECT CASE
               WHEN NOT %(ring)s::boolean AND pg_try_advisory_xact_lock_shared(s.door) THEN true
               ELSE pg_notify(s.channel, '') IS NOT NULL
           END
    FROM stream AS s
)
