-- What a reader must know before it begins: the cluster, a snapshot of now, and the stream of the table if there is one.
SELECT
    (SELECT k.system_identifier FROM pg_control_system() AS k)::text AS system,
    pg_current_snapshot()::text AS snapshot,
    clock_timestamp() AS now,
    s.id, s.channel, s.key_columns, s.columns, s.condition
FROM (VALUES (1)) AS one (one)
LEFT JOIN {prefix}change_streams AS s
    ON s.table_schema = %(table_schema)s::text AND s.table_name = %(table_name)s::text
