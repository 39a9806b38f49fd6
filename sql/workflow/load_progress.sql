-- Where each step of the current run stands, in the order of its definition; without results, which may be large.
SELECT s.step_name, s.status, s.step_type, s.depends_on, s.attempt
FROM {prefix}workflows w
JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run
WHERE w.workflow_id = %(workflow_id)s::text
ORDER BY s.position NULLS LAST, s.completed_at, s.step_name
