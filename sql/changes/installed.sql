-- The trigger function of a table as it stands: its body, whether it has a search_path of its own, and the triggers that
-- call it, but for disabled ones.
SELECT
    p.prosrc AS body, p.proconfig IS NOT NULL AS has_path,
    ARRAY(
        SELECT ARRAY[tn.nspname::text, c.relname::text, t.tgname::text]
        FROM pg_catalog.pg_trigger AS t
        JOIN pg_catalog.pg_class AS c ON c.oid = t.tgrelid
        JOIN pg_catalog.pg_namespace AS tn ON tn.oid = c.relnamespace
        WHERE t.tgfoid = p.oid AND t.tgenabled <> 'D'
    ) AS triggers
FROM pg_catalog.pg_proc AS p
JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
WHERE n.nspname = %(schema)s::text AND p.proname = %(function)s::text AND p.pronargs = 0
