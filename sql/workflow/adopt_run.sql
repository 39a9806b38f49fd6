-- Let workers drive an inline run from where it stands, under a lease that nobody else holds; the lease ends.
--
-- A step that failed is tried again: the run went on after that, or its end was not written.
WITH adopted AS MATERIALIZED (
    SELECT w.id, w.run, w.status
    FROM {prefix}workflows w
    WHERE w.workflow_id = %(workflow_id)s::text AND w.remaining IS NULL
      AND w.status NOT IN (4 /* COMPLETED */, 5 /* FAILED */, 6 /* CANCELLED */)
      AND {{workflow/parts/fenced}}
    FOR NO KEY UPDATE OF w
), steps AS MATERIALIZED (
    SELECT s.step_name, s.position, s.depends_on, s.dependents, s.status IN (4 /* COMPLETED */, 6 /* SKIPPED */) AS is_done
    FROM adopted a
    JOIN {prefix}workflow_steps s ON s.workflow = a.id AND s.run = a.run
    WHERE s.position IS NOT NULL
), open AS MATERIALIZED (
    SELECT s.step_name, count(d.step_name)::integer AS pending_deps
    FROM steps s
    LEFT JOIN LATERAL unnest(s.depends_on) AS n (step_name) ON true
    LEFT JOIN steps d ON d.step_name = n.step_name AND NOT d.is_done
    WHERE NOT s.is_done
    GROUP BY s.step_name
), changed AS (
    UPDATE {prefix}workflows w
    SET remaining = t.number, ends_in_task = true, ending = t.number = 0 OR a.status = 7 /* COMPENSATING */,
        status = CASE WHEN a.status = 7 /* COMPENSATING */ THEN a.status ELSE 2 /* RUNNING */ END,
        started_at = COALESCE(w.started_at, clock_timestamp()), updated_at = clock_timestamp()
    FROM adopted a, (
        SELECT count(*)::integer AS number
        FROM steps
        WHERE cardinality(steps.dependents) = 0 AND NOT steps.is_done
    ) AS t
    WHERE w.id = a.id
    RETURNING w.id, w.run, w.workflow_id, w.workflow_name, w.version, w.namespace, w.deadline_at, w.ending
), counted AS (
    UPDATE {prefix}workflow_steps s
    SET pending_deps = o.pending_deps, completed_at = NULL,
        wake_at = CASE WHEN o.pending_deps = 0 THEN COALESCE(s.wake_at, clock_timestamp() + s.pause) ELSE s.wake_at END,
        status = CASE WHEN s.status = 3 /* WAITING */ THEN s.status ELSE 1 /* PENDING */ END
    FROM adopted a, open o
    WHERE s.workflow = a.id AND s.run = a.run AND s.step_name = o.step_name
    RETURNING s.workflow, s.step_name, s.position, s.queue, s.priority, s.pending_deps, s.wake_at
), released AS (
    DELETE FROM {prefix}workflow_leases l
    USING adopted a
    WHERE l.workflow = a.id
), driven AS (
    SELECT c.id, c.run, c.workflow_id, c.workflow_name, c.version, c.namespace, c.deadline_at
    FROM changed c
), ready AS (
    SELECT s.workflow, s.step_name, s.position, s.queue, s.priority, s.wake_at
    FROM counted s
    JOIN changed c ON c.id = s.workflow AND NOT c.ending
    WHERE s.pending_deps = 0
    UNION ALL
    SELECT c.id, '', NULL, l.queue, l.priority, NULL
    FROM changed c
    CROSS JOIN LATERAL (
        SELECT s.queue, s.priority
        FROM {prefix}workflow_steps s
        WHERE s.workflow = c.id AND s.run = c.run AND s.position IS NOT NULL
        ORDER BY s.position DESC
        LIMIT 1
    ) AS l
    WHERE c.ending
), tasks AS (
    {{workflow/parts/ready_tasks}}
), rung AS (
    SELECT 'step_queue.' || tasks.queue AS name
    FROM tasks
)
SELECT changed.run
FROM changed
WHERE {{bell/parts/rings}} IS NOT FALSE
