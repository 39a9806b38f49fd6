-- Writes down that the body of a step is about to be executed, and whether its checkpoint was there already.
-- Committed before the body runs, so that an execution cut short by a kill is seen as well. Whether it comes after a
-- checkpoint is what the database itself sees at this moment: no clocks are compared.
INSERT INTO {prefix}demo_executions (workflow_id, step_name, worker, pid, after_checkpoint)
SELECT %(workflow_id)s::text, %(step_name)s::text, %(worker)s::text, %(pid)s::integer, EXISTS (
    SELECT FROM {prefix}workflows w
    JOIN {prefix}workflow_steps s ON s.workflow = w.id AND s.run = w.run
    WHERE w.workflow_id = %(workflow_id)s::text
      AND s.step_name = %(step_name)s::text
      AND s.status = 4 /* COMPLETED */
)
