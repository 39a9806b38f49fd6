-- One workflow with its current run.
SELECT w.id, w.workflow_id, w.workflow_name, w.workflow_type, w.namespace, w.version,
       p.workflow_id AS parent_workflow_id, w.run, w.status, w.input::text AS input, w.result::text AS result,
       w.error::text AS error, w.metadata::text AS metadata, w.created_at, w.started_at, w.updated_at, w.completed_at,
       clock_timestamp() AS loaded_at
FROM {prefix}workflows w
LEFT JOIN {prefix}workflows p ON p.id = w.parent_id
WHERE w.workflow_id = %(workflow_id)s::text
