-- Begin another workflow where one stood before a step: what is done, and does not depend on that step, is copied.
--
-- Steps that were not declared are those of a function, one after the other: of them goes what was done before the step,
-- and every declared one is open again.
WITH RECURSIVE origin AS MATERIALIZED (
    SELECT w.id, w.run, w.workflow_name, w.workflow_type, w.namespace, w.version, w.input, w.metadata
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text
), step AS MATERIALIZED (
    SELECT s.step_name, s.position, s.completed_at
    FROM origin
    JOIN {prefix}workflow_steps s
      ON s.workflow = origin.id AND s.run = origin.run AND s.step_name = %(from_step)s::text
), downstream (step_name) AS (
    SELECT step.step_name
    FROM step
    UNION
    SELECT n.step_name
    FROM downstream d
    CROSS JOIN origin
    JOIN {prefix}workflow_steps s ON s.workflow = origin.id AND s.run = origin.run AND s.step_name = d.step_name
    CROSS JOIN unnest(s.dependents) AS n (step_name)
), copied AS MATERIALIZED (
    SELECT s.step_name, s.position, s.step_type, s.status, s.depends_on, s.dependents, s.attempt, s.result, s.error,
           s.metadata, s.started_at, s.completed_at, s.duration, s.wake_at, s.signal_name, s.queue, s.priority, s.pause,
           s.status IN (4 /* COMPLETED */, 6 /* SKIPPED */)
           AND CASE
                   WHEN step.position IS NULL THEN s.position IS NULL AND s.completed_at < step.completed_at
                   ELSE s.position IS NOT NULL AND s.step_name NOT IN (SELECT d.step_name FROM downstream d)
               END IS TRUE AS is_done
    FROM origin
    CROSS JOIN step
    JOIN {prefix}workflow_steps s ON s.workflow = origin.id AND s.run = origin.run
), open AS MATERIALIZED (
    SELECT c.step_name, c.dependents,
           (SELECT count(*) FROM unnest(c.depends_on) AS n (step_name)
            WHERE n.step_name NOT IN (SELECT k.step_name FROM copied k WHERE k.is_done))::integer AS pending_deps,
           CASE
               WHEN c.pause IS NULL THEN c.wake_at
               WHEN %(on_workers)s::boolean THEN clock_timestamp() + c.pause
           END AS wake_at
    FROM copied c
    WHERE c.position IS NOT NULL AND NOT c.is_done
), created AS (
    INSERT INTO {prefix}workflows (
        workflow_id, workflow_name, workflow_type, namespace, version, input, metadata, status, remaining, ends_in_task,
        started_at, deadline_at
    )
    SELECT
        %(new_workflow_id)s::text, o.workflow_name, o.workflow_type, o.namespace, o.version, o.input, o.metadata,
        CASE WHEN %(on_workers)s::boolean THEN 2 /* RUNNING */ ELSE 1 /* PENDING */ END,
        CASE WHEN %(on_workers)s::boolean THEN (SELECT count(*) FROM open WHERE cardinality(open.dependents) = 0) END,
        %(ends_in_task)s::boolean
        OR (SELECT count(*) FROM copied c WHERE c.position IS NOT NULL AND cardinality(c.dependents) = 0) > 1,
        CASE WHEN %(on_workers)s::boolean THEN clock_timestamp() END,
        COALESCE(%(deadline_at)s::timestamptz, clock_timestamp() + %(deadline)s::interval)
    FROM origin o
    WHERE EXISTS (SELECT FROM step)
    ON CONFLICT DO NOTHING
    RETURNING id, run, workflow_id, workflow_name, version, namespace, deadline_at
), steps AS (
    INSERT INTO {prefix}workflow_steps (
        workflow, run, step_name, position, step_type, status, depends_on, dependents, pending_deps, attempt, result,
        error, metadata, started_at, completed_at, duration, wake_at, signal_name, queue, priority, pause
    )
    SELECT
        n.id, n.run, c.step_name, c.position, c.step_type, c.status, c.depends_on, c.dependents, 0, c.attempt, c.result,
        c.error, c.metadata, c.started_at, c.completed_at, c.duration, c.wake_at, c.signal_name, c.queue, c.priority,
        c.pause
    FROM created n, copied c
    WHERE c.is_done
    UNION ALL
    SELECT
        n.id, n.run, c.step_name, c.position, c.step_type, 1 /* PENDING */, c.depends_on, c.dependents, o.pending_deps, 0,
        NULL, NULL, c.metadata, NULL, NULL, NULL, CASE WHEN o.pending_deps = 0 OR c.pause IS NULL THEN o.wake_at END, NULL,
        c.queue, c.priority, c.pause
    FROM created n, copied c
    JOIN open o ON o.step_name = c.step_name
), driven AS (
    SELECT n.id, n.run, n.workflow_id, n.workflow_name, n.version, n.namespace, n.deadline_at
    FROM created n
    WHERE %(on_workers)s::boolean
), ready AS (
    SELECT d.id AS workflow, c.step_name, c.position, c.queue, c.priority, o.wake_at
    FROM driven d, copied c
    JOIN open o ON o.step_name = c.step_name
    WHERE o.pending_deps = 0
), tasks AS (
    {{workflow/parts/ready_tasks}}
), rung AS (
    SELECT 'step_queue.' || tasks.queue AS name
    FROM tasks
)
SELECT EXISTS (SELECT FROM origin) AS found, EXISTS (SELECT FROM step) AS step_found,
       EXISTS (SELECT FROM created) AS created, {{bell/parts/rings}} AS rung
