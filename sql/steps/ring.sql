-- Wake the workers that wait for these queues. How it rings: see queue/publish.
SELECT bool_and(CASE
                    WHEN pg_try_advisory_xact_lock_shared(r.door) THEN true
                    ELSE pg_notify(r.channel, '') IS NOT NULL
                END) AS rung
FROM unnest(%(doors)s::bigint[], %(channels)s::text[]) AS r (door, channel)
