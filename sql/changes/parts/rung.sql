-- Ring unless nobody waits; true in either case.
(pg_catalog.pg_try_advisory_xact_lock_shared({door}) OR pg_catalog.pg_notify({channel_text}, '') IS NOT NULL)
