-- List what the pgmq of this database offers: its functions, and the columns of what they return.
--
-- Read from the catalog and not from pg_extension: an installation from the SQL file alone has no version there.
SELECT p.proname::text AS name, oidvectortypes(p.proargtypes) AS arguments, p.pronargdefaults::integer AS defaults
FROM pg_proc p
WHERE p.pronamespace = to_regnamespace('pgmq')
UNION ALL
SELECT a.attname::text, NULL, NULL
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = to_regnamespace('pgmq') AND c.relname IN ('message_record', 'metrics_result')
  AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT e.extname::text, NULL, NULL
FROM pg_extension e
WHERE e.extname = 'pg_partman'
