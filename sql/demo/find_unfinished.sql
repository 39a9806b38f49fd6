-- The run that a worker is in the middle of: some of its steps have their checkpoint and some do not.
SELECT f.workflow_id, f.path, count(*) FILTER (WHERE s.status = 4 /* COMPLETED */) AS checkpoints
FROM {prefix}demo_files f
JOIN {prefix}workflows w ON w.workflow_id = f.workflow_id
JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run
WHERE f.owner = %(worker)s::text
  AND w.status = 2 /* RUNNING */
GROUP BY f.workflow_id, f.path
HAVING bool_or(s.status = 4 /* COMPLETED */) AND NOT bool_and(s.status = 4 /* COMPLETED */)
LIMIT 1
