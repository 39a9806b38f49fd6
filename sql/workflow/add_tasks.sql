-- Record elements of a map step with their inputs, before any of them is executed.
--
-- Element -1 is written with the last ones: it says that the list is complete. Until then it may be written anew, from
-- the start, by whoever takes the run up.
WITH run AS MATERIALIZED (
    SELECT w.id, w.run, w.status
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
      AND {{workflow/parts/fenced}}
), added AS (
    INSERT INTO {prefix}workflow_step_tasks (workflow, run, step_name, task_index, input)
    SELECT run.id, run.run, %(step_name)s::text, %(first)s::integer + (e.number - 1)::integer, e.input::json
    FROM run, unnest(%(inputs)s::text[]) WITH ORDINALITY AS e (input, number)
    ON CONFLICT (workflow, run, step_name, task_index) DO UPDATE
    SET input = EXCLUDED.input
), surplus AS (
    DELETE FROM {prefix}workflow_step_tasks t
    USING run
    WHERE %(last)s::boolean AND t.workflow = run.id AND t.run = run.run AND t.step_name = %(step_name)s::text
      AND t.task_index >= %(first)s::integer + cardinality(%(inputs)s::text[])
), complete AS (
    INSERT INTO {prefix}workflow_step_tasks (workflow, run, step_name, task_index, status)
    SELECT run.id, run.run, %(step_name)s::text, -1, 4 /* COMPLETED */
    FROM run
    WHERE %(last)s::boolean
    ON CONFLICT DO NOTHING
)
SELECT run.status
FROM run
