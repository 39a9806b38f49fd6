-- Delete the stream of a table with its log and its consumers.
WITH stream AS (
    DELETE FROM {prefix}change_streams AS s
    WHERE s.table_schema = %(table_schema)s::text AND s.table_name = %(table_name)s::text
    RETURNING s.id
), consumers AS (
    DELETE FROM {prefix}change_consumers AS c USING stream WHERE c.stream = stream.id
)
DELETE FROM {prefix}changes AS c USING stream WHERE c.stream = stream.id
