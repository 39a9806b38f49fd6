-- Mark a run as being driven inline. A failed or suspended one goes on; a completed or cancelled one does not, and
-- neither does one that workers drive, unless it has failed. Nobody is told of it, so it need not wait for the disk,
-- where the transaction is our own.
UPDATE {prefix}workflows w
SET status = 2 /* RUNNING */, result = NULL, error = NULL, completed_at = NULL, updated_at = clock_timestamp(),
    started_at = COALESCE(w.started_at, clock_timestamp()), remaining = NULL, ending = false,
    retries = CASE WHEN w.status = 5 /* FAILED */ THEN 0 ELSE w.retries END
WHERE w.workflow_id = %(workflow_id)s::text
  AND w.status NOT IN (4 /* COMPLETED */, 6 /* CANCELLED */)
  AND (w.remaining IS NULL OR w.status = 5 /* FAILED */)
  AND CASE
          WHEN %(is_own)s::boolean THEN (SELECT set_config('synchronous_commit', 'off', true)) IS NOT NULL
          ELSE true
      END
  AND {{workflow/parts/fenced}}
RETURNING w.run
