-- The attempts of one run, oldest first.
SELECT w.workflow_id, a.run, a.step_name, NULLIF(a.task_index, -1) AS task_index, a.attempt_type, a.attempt, a.status,
       a.error::text AS error, a.instance_id, a.started_at, a.completed_at, a.duration
FROM {prefix}workflows w
JOIN {prefix}step_attempts a ON a.workflow = w.id AND a.run = COALESCE(%(run)s::integer, w.run)
WHERE w.workflow_id = %(workflow_id)s::text
  AND (%(step_name)s::text IS NULL OR a.step_name = %(step_name)s::text)
ORDER BY a.completed_at, a.step_name, a.task_index, a.attempt_type, a.attempt
