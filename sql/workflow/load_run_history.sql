-- The ended runs of a workflow, newest first: the current one, when it has ended, and those before it.
SELECT w.workflow_id, r.run, r.status, r.version, r.input::text AS input, r.result::text AS result,
       r.error::text AS error, r.metadata::text AS metadata, r.created_at, r.started_at, r.completed_at
FROM {prefix}workflows w
CROSS JOIN LATERAL (
    SELECT w.run, w.status, w.version, w.input, w.result, w.error, w.metadata, w.created_at, w.started_at, w.completed_at
    WHERE w.status IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
    UNION ALL
    SELECT r.run, r.status, r.version, r.input, r.result, r.error, r.metadata, r.created_at, r.started_at, r.completed_at
    FROM {prefix}workflow_runs r
    WHERE r.workflow = w.id
) r
WHERE w.workflow_id = %(workflow_id)s::text
ORDER BY r.run DESC
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
