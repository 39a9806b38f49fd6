-- One run as a driver has to know it: where it stands, and what follows from the clock.
--
-- Spans of time and not moments: only the server's clock says how long ago something was.
SELECT w.workflow_id, w.workflow_name, w.version, w.run, w.status, w.input::text AS input, w.result::text AS result,
       w.error::text AS error, w.metadata::text AS metadata, w.remaining IS NOT NULL AS on_workers, w.retries,
       p.workflow_id AS parent_workflow_id, w.parent_step,
       w.deadline_at - clock_timestamp() AS deadline_in, clock_timestamp() - w.completed_at AS ended_for
FROM {prefix}workflows w
LEFT JOIN {prefix}workflows p ON p.id = w.parent_id
WHERE w.workflow_id = %(workflow_id)s::text
