-- Mark a run as being driven. A failed or suspended one goes on; a completed or cancelled one does not.
UPDATE {prefix}workflows w
SET status = 2 /* RUNNING */, result = NULL, error = NULL, completed_at = NULL, updated_at = clock_timestamp(),
    started_at = COALESCE(w.started_at, clock_timestamp())
WHERE w.workflow_id = %(workflow_id)s::text
  AND w.status NOT IN (4 /* COMPLETED */, 6 /* CANCELLED */)
  AND {{workflow/parts/fenced}}
RETURNING w.run
