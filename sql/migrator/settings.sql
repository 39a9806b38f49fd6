-- Limits for this transaction: give up waiting for a busy table, and let nothing else cut a migration short.
-- A migration that waits for a table makes every later statement on that table wait behind it. transaction_timeout is
-- known from PostgreSQL 17 on; settings that the server does not have are left out.
SELECT count(set_config(wanted.name, wanted.value, true))
FROM (
    VALUES
        ('lock_timeout', '5s'),
        ('statement_timeout', '0'),
        ('transaction_timeout', '0')
) AS wanted (name, value)
JOIN pg_catalog.pg_settings AS known ON known.name = wanted.name
