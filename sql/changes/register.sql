-- Make or change the stream of a table; its number stays what it was.
INSERT INTO {prefix}change_streams AS s (
    table_schema, table_name, channel, door, operations, key_columns, columns, condition
)
VALUES (
    %(table_schema)s::text, %(table_name)s::text, %(channel)s::text, %(door)s::bigint, %(operations)s::text[],
    %(key_columns)s::text[], %(columns)s::text[], %(condition)s::text
)
ON CONFLICT (table_schema, table_name) DO UPDATE
SET channel = EXCLUDED.channel, door = EXCLUDED.door, operations = EXCLUDED.operations,
    key_columns = EXCLUDED.key_columns, columns = EXCLUDED.columns, condition = EXCLUDED.condition
RETURNING s.id
