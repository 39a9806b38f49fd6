-- The results of some steps of the current run that are done.
SELECT s.step_name, s.result::text AS result
FROM {prefix}workflows w
JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run AND s.step_name = ANY (%(step_names)s::text[])
WHERE w.workflow_id = %(workflow_id)s::text
