-- A run that one of these workers is in the middle of: some of its steps have their checkpoint and some do not.
-- Open runs are few, and have an index of their own. The one with the most steps to go comes first: it is the one that
-- will still be open in a moment.
SELECT f.owner AS worker, f.path, count(*) AS steps, count(*) FILTER (WHERE s.status = 4 /* COMPLETED */) AS checkpoints
FROM {prefix}workflows w
JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run
JOIN {prefix}demo_files f ON f.workflow_id = w.workflow_id
WHERE w.completed_at IS NULL
  AND f.owner = ANY (%(workers)s::text[])
GROUP BY f.owner, f.path
HAVING bool_or(s.status = 4 /* COMPLETED */) AND NOT bool_and(s.status = 4 /* COMPLETED */)
ORDER BY checkpoints, f.path
LIMIT 1
