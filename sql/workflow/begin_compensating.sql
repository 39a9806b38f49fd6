-- Mark a run as failed, and as being undone. One that is being undone already keeps its error and its beginning.
UPDATE {prefix}workflows w
SET status = 7 /* COMPENSATING */,
    error = CASE WHEN w.status = 7 /* COMPENSATING */ THEN w.error ELSE %(error)s::text::json END,
    updated_at = CASE WHEN w.status = 7 /* COMPENSATING */ THEN w.updated_at ELSE clock_timestamp() END
WHERE w.workflow_id = %(workflow_id)s::text
  AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
  AND {{workflow/parts/fenced}}
RETURNING w.run
