-- Workflows that match every filter given, newest first, without their steps.
--
-- Never prepared: only a plan that knows which filters are given uses their indexes.
SELECT w.workflow_id, w.workflow_name, w.workflow_type, w.namespace, w.version, p.workflow_id AS parent_workflow_id,
       w.run, w.status, w.input::text AS input, w.result::text AS result, w.error::text AS error,
       w.metadata::text AS metadata, w.created_at, w.started_at, w.updated_at, w.completed_at,
       clock_timestamp() AS loaded_at
FROM {prefix}workflows w
LEFT JOIN {prefix}workflows p ON p.id = w.parent_id
WHERE (%(status)s::smallint IS NULL OR w.status = %(status)s::smallint)
  AND (%(name)s::text IS NULL OR w.workflow_name = %(name)s::text)
  AND (%(type)s::text IS NULL OR w.workflow_type = %(type)s::text)
  AND (%(namespace)s::text IS NULL OR w.namespace = %(namespace)s::text)
  AND (%(parent_id)s::text IS NULL
       OR w.parent_id = (SELECT q.id FROM {prefix}workflows q WHERE q.workflow_id = %(parent_id)s::text))
ORDER BY w.id DESC
LIMIT %(limit)s::bigint OFFSET %(offset)s::bigint
