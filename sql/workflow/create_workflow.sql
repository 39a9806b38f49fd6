-- Record a workflow and the steps of its first run.
--
-- ON CONFLICT DO NOTHING waits for a concurrent creator of the same id to commit or roll back: one of them wins, and the
-- other is told. Steps travel as one json array, because text[] cannot hold lists of different lengths.
WITH parent AS (
    SELECT id
    FROM {prefix}workflows
    WHERE workflow_id = %(parent_workflow_id)s::text
), created AS (
    INSERT INTO {prefix}workflows
        (workflow_id, workflow_name, workflow_type, namespace, version, parent_id, input, metadata)
    SELECT %(workflow_id)s::text, %(workflow_name)s::text, %(workflow_type)s::text, %(namespace)s::text,
           %(version)s::text, (SELECT id FROM parent), %(input)s::text::json, %(metadata)s::text::json
    WHERE %(parent_workflow_id)s::text IS NULL OR EXISTS (SELECT FROM parent)
    ON CONFLICT DO NOTHING
    RETURNING id, run
), steps AS (
    INSERT INTO {prefix}workflow_steps
        (workflow, run, step_name, position, step_type, depends_on, dependents, pending_deps, metadata)
    SELECT created.id, created.run, s.step_name, s.position, s.step_type, s.depends_on, s.dependents,
           cardinality(s.depends_on), s.metadata
    FROM created, json_to_recordset(%(steps)s::text::json)
         AS s (step_name text, position integer, step_type smallint, depends_on text[], dependents text[], metadata json)
)
SELECT EXISTS (SELECT FROM created) AS created,
       %(parent_workflow_id)s::text IS NULL OR EXISTS (SELECT FROM parent) AS parent_found
