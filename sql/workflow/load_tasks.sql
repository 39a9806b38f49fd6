-- Elements of a step in their order, those after one of them; on request only those that are not done.
SELECT t.task_index, t.status, t.attempt, t.input::text AS input, t.result::text AS result
FROM {prefix}workflows w
JOIN {prefix}workflow_step_tasks t ON t.workflow = w.id AND t.run = w.run AND t.step_name = %(step_name)s::text
WHERE w.workflow_id = %(workflow_id)s::text
  AND t.task_index > %(after)s::integer
  AND (t.status <> 4 /* COMPLETED */ OR t.task_index < 0 OR %(all)s::boolean)
ORDER BY t.task_index
LIMIT %(limit)s::integer
