-- Continue a run with another version of its definition: what is completed stays, what is gone from the definition and
-- not completed goes, what is new comes.
WITH changed AS (
    UPDATE {prefix}workflows w
    SET version = %(version)s::text, updated_at = clock_timestamp()
    WHERE w.workflow_id = %(workflow_id)s::text
      AND w.status NOT IN (4 /* COMPLETED */, 6 /* CANCELLED */)
      AND {{workflow/parts/fenced}}
    RETURNING w.id, w.run
), defined AS MATERIALIZED (
    SELECT s.step_name, s.position, s.step_type, s.depends_on, s.dependents, s.metadata, s.queue, s.priority, s.pause,
           s.wake_at
    FROM {{workflow/parts/steps_given}}
), gone AS (
    DELETE FROM {prefix}workflow_steps s
    USING changed
    WHERE s.workflow = changed.id AND s.run = changed.run AND s.status <> 4 /* COMPLETED */
      AND NOT EXISTS (SELECT FROM defined d WHERE d.step_name = s.step_name)
), written AS (
    INSERT INTO {prefix}workflow_steps AS s (
        workflow, run, step_name, position, step_type, depends_on, dependents, pending_deps, metadata, queue, priority,
        pause, wake_at
    )
    SELECT changed.id, changed.run, d.step_name, d.position, d.step_type, d.depends_on, d.dependents,
           cardinality(d.depends_on), d.metadata, d.queue, d.priority, d.pause, d.wake_at
    FROM changed, defined d
    ON CONFLICT (workflow, run, step_name) DO UPDATE
    SET position = EXCLUDED.position, step_type = EXCLUDED.step_type, depends_on = EXCLUDED.depends_on,
        dependents = EXCLUDED.dependents, pending_deps = EXCLUDED.pending_deps, metadata = EXCLUDED.metadata,
        queue = EXCLUDED.queue, priority = EXCLUDED.priority, pause = EXCLUDED.pause,
        wake_at = COALESCE(s.wake_at, EXCLUDED.wake_at)
)
SELECT changed.run
FROM changed
