-- The results of all elements of a map step as one list, in their order. Made here, because it may be long.
SELECT COALESCE(json_agg(t.result ORDER BY t.task_index), '[]')::text AS results
FROM {prefix}workflows w
JOIN {prefix}workflow_step_tasks t ON t.workflow = w.id AND t.run = w.run AND t.step_name = %(step_name)s::text
WHERE w.workflow_id = %(workflow_id)s::text
  AND t.task_index >= 0
