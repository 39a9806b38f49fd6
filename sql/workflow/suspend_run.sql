-- Mark an inline run as waiting: all of it that could be done is done.
UPDATE {prefix}workflows w
SET status = 3 /* SUSPENDED */, updated_at = clock_timestamp()
WHERE w.workflow_id = %(workflow_id)s::text
  AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
  AND {{workflow/parts/fenced}}
RETURNING w.run
