-- Count that a run begins again where it failed.
UPDATE {prefix}workflows w
SET retries = %(retries)s::integer
WHERE w.workflow_id = %(workflow_id)s::text
  AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
  AND {{workflow/parts/fenced}}
RETURNING w.run
