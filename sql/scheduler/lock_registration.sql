-- Let one process at a time declare schedules of a namespace: what it compares with does not change meanwhile.
SELECT pg_advisory_xact_lock(%(key)s::bigint) AS locked
