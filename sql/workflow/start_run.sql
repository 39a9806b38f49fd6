-- Record a workflow that workers drive, with its steps, and the tasks of those that depend on none; ring.
--
-- ON CONFLICT DO NOTHING waits for a concurrent creator of the same id: one of them wins, and the other is told. The parent
-- is locked against a cancellation, which waits for this and then finds the child, or is waited for and found.
WITH parent AS MATERIALIZED (
    SELECT p.id, p.status
    FROM {prefix}workflows p
    WHERE p.workflow_id = %(parent_workflow_id)s::text
    FOR KEY SHARE
), given AS MATERIALIZED (
    SELECT s.step_name, s.position, s.step_type, s.depends_on, s.dependents, s.metadata, s.queue, s.priority, s.pause,
           CASE
               WHEN cardinality(s.depends_on) > 0 THEN s.wake_at
               ELSE COALESCE(s.wake_at, clock_timestamp() + s.pause)
           END AS wake_at
    FROM {{workflow/parts/steps_given}}
), created AS (
    INSERT INTO {prefix}workflows (
        workflow_id, workflow_name, workflow_type, namespace, version, parent_id, parent_step, input, metadata, status,
        remaining, ends_in_task, started_at, deadline_at
    )
    SELECT
        %(workflow_id)s::text, %(workflow_name)s::text, %(workflow_type)s::text, %(namespace)s::text, %(version)s::text,
        (SELECT id FROM parent), %(parent_step)s::text, %(input)s::text::json, %(metadata)s::text::json, 2 /* RUNNING */,
        t.terminals, %(ends_in_task)s::boolean OR %(parent_workflow_id)s::text IS NOT NULL OR t.terminals > 1,
        clock_timestamp(), COALESCE(%(deadline_at)s::timestamptz, clock_timestamp() + %(deadline)s::interval)
    FROM (SELECT count(*)::integer AS terminals FROM given WHERE cardinality(given.dependents) = 0) AS t
    WHERE %(parent_workflow_id)s::text IS NULL OR EXISTS (SELECT FROM parent WHERE parent.status <> 6 /* CANCELLED */)
    ON CONFLICT DO NOTHING
    RETURNING id, run, workflow_id, workflow_name, version, namespace, deadline_at
), steps AS (
    INSERT INTO {prefix}workflow_steps (
        workflow, run, step_name, position, step_type, status, depends_on, dependents, pending_deps, metadata, queue,
        priority, pause, wake_at
    )
    SELECT
        c.id, c.run, g.step_name, g.position, g.step_type,
        CASE
            WHEN g.wake_at > clock_timestamp() AND cardinality(g.depends_on) = 0 THEN 3 /* WAITING */
            ELSE 1 /* PENDING */
        END,
        g.depends_on, g.dependents, cardinality(g.depends_on), g.metadata, g.queue, g.priority, g.pause, g.wake_at
    FROM created c, given g
), driven AS (
    SELECT c.id, c.run, c.workflow_id, c.workflow_name, c.version, c.namespace, c.deadline_at
    FROM created c
), ready AS (
    SELECT c.id AS workflow, g.step_name, g.position, g.queue, g.priority, g.wake_at
    FROM created c, given g
    WHERE cardinality(g.depends_on) = 0
), tasks AS (
    {{workflow/parts/ready_tasks}}
), rung AS (
    SELECT 'step_queue.' || tasks.queue AS name
    FROM tasks
)
SELECT EXISTS (SELECT FROM created) AS created, (SELECT status FROM parent) AS parent_status,
       {{bell/parts/rings}} AS rung
