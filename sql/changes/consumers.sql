-- The consumers of a table, by name.
SELECT
    c.consumer, c.position, c.acked_at,
    CASE WHEN c.expires_at > clock_timestamp() THEN c.holder END AS holder
FROM {prefix}change_consumers AS c
JOIN {prefix}change_streams AS s ON s.id = c.stream
WHERE s.table_schema = %(table_schema)s::text AND s.table_name = %(table_name)s::text
ORDER BY c.consumer
