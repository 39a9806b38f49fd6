-- Whether the schema and the version table exist.
-- Asked of the catalogs and not by IF NOT EXISTS: a role that may not create a schema must get by with one that is there.
SELECT
    EXISTS (
        SELECT FROM pg_catalog.pg_namespace
        WHERE nspname = %(schema)s::text
    ) AS has_schema,
    EXISTS (
        SELECT FROM pg_catalog.pg_class AS c
        JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = %(schema)s::text AND c.relname = %(table)s::text
    ) AS has_table
