-- Of some tasks that were claimed, those that nobody wants any more: they are gone, or their runs have ended.
SELECT g.id
FROM unnest((SELECT %(ids)s::bigint[])) AS g (id)
LEFT JOIN LATERAL (
    SELECT w.status
    FROM {prefix}step_queue q
    JOIN {prefix}workflows w ON w.id = q.workflow
    WHERE q.id = g.id AND q.claimed_by = %(me)s::text
    LIMIT 1
) AS h ON true
WHERE h.status IS NULL OR h.status IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
