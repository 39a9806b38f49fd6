-- Gives back what a dead worker had claimed and not brought to its end.
-- Sent by its parent, which has waited for the process and so knows that it is gone: no lease has to run out.
UPDATE {prefix}demo_files AS f
SET owner = NULL
WHERE f.owner = %(worker)s::text
  AND NOT EXISTS (
      SELECT FROM {prefix}workflows w
      WHERE w.workflow_id = f.workflow_id AND w.status IN (4 /* COMPLETED */, 5 /* FAILED */)
  )
