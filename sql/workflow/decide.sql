-- Record what a step decided before it acts on it, as its element 0; what was decided first in this run stands.
INSERT INTO {prefix}workflow_step_tasks AS t
    (workflow, run, step_name, task_index, status, result, started_at, completed_at)
SELECT w.id, w.run, %(step_name)s::text, 0, 4 /* COMPLETED */, %(decision)s::text::json, clock_timestamp(),
       clock_timestamp()
FROM {prefix}workflows w
WHERE w.workflow_id = %(workflow_id)s::text
  AND {{workflow/parts/fenced}}
ON CONFLICT (workflow, run, step_name, task_index) DO UPDATE
SET result = t.result
RETURNING t.result::text AS decision
