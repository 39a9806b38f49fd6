-- A table or partitioned table: its columns and whether their types are all PostgreSQL's own, those of its primary key in
-- their order, and its partitions at all levels.
SELECT
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        ORDER BY a.attnum
    ) AS columns,
    NOT EXISTS (
        SELECT
        FROM pg_catalog.pg_attribute AS a
        JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND t.typnamespace <> 'pg_catalog'::regnamespace
    ) AS is_plain,
    ARRAY(
        SELECT a.attname::text
        FROM pg_catalog.pg_index AS i
        CROSS JOIN LATERAL unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, place)
        JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.attnum
        WHERE i.indrelid = c.oid AND i.indisprimary
        ORDER BY k.place
    ) AS key_columns,
    ARRAY(
        SELECT ARRAY[pn.nspname::text, p.relname::text]
        FROM pg_catalog.pg_partition_tree(c.oid) AS t
        JOIN pg_catalog.pg_class AS p ON p.oid = t.relid
        JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
        WHERE p.relkind IN ('r', 'p') AND p.oid <> c.oid
        ORDER BY p.oid
    ) AS partitions
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = %(table_schema)s::text AND c.relname = %(table_name)s::text AND c.relkind IN ('r', 'p')
