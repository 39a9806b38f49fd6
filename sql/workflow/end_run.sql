-- Record how a run ended: completed with a result, or failed with an error.
--
-- A run that has ended stays as it ended; saying the same once more, as after a lost connection, changes nothing.
UPDATE {prefix}workflows w
SET status = %(status)s::smallint, result = %(result)s::text::json, error = %(error)s::text::json,
    updated_at = COALESCE(w.completed_at, clock_timestamp()), completed_at = COALESCE(w.completed_at, clock_timestamp())
WHERE w.workflow_id = %(workflow_id)s::text
  AND (w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
       OR (w.status = %(status)s::smallint AND w.result::text IS NOT DISTINCT FROM %(result)s::text
           AND w.error::text IS NOT DISTINCT FROM %(error)s::text))
  AND {{workflow/parts/fenced}}
RETURNING w.run
