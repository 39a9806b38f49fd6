-- For the rest of this transaction, look names up as the trigger function will.
SELECT set_config('search_path', 'pg_catalog, pg_temp', true)
