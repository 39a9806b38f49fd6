-- What a reader must know before it begins: the cluster, a snapshot of now, and the stream of the table (if any).
--
-- The snapshot becomes a cursor, and is flushed as in changes/fetch.
SELECT
    (SELECT k.system_identifier FROM pg_control_system() AS k)::text AS system,
    pg_current_snapshot()::text AS snapshot,
    clock_timestamp() AS now,
    s.id, s.channel, s.key_columns, s.columns, s.condition,
    CASE
        WHEN pg_current_wal_flush_lsn() < pg_current_wal_insert_lsn()
        THEN concat(
            set_config('synchronous_commit',
                       COALESCE(NULLIF(current_setting('synchronous_commit'), 'off'), 'local'), true),
            pg_logical_emit_message(true, 'promin', ''::text)
        )
    END AS flushed
FROM (VALUES (1)) AS one (one)
LEFT JOIN {prefix}change_streams AS s
    ON s.table_schema = %(table_schema)s::text AND s.table_name = %(table_name)s::text
