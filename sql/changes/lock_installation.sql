-- One at a time: two that install triggers on one table would wait for each other's locks crosswise.
SELECT pg_advisory_xact_lock(%(key)s::bigint)
